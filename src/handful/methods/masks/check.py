"""A support with masks examined by itself: each example segmented by the others of its class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from handful.answers import MaskCheck, MaskSuspect
from handful.methods.masks.zoom import decide_at
from handful.methods.segmenter import Features, Mask, SegmentationMethod

MOST = 24
"""Examples of a class that are looked at; of more, these many, spread evenly."""

LEAST = 3
"""Examples of a class from which on one can be told to be wrong: of two, it may be either."""

FAR, TRUSTED = 0.5, 0.2
"""An example below `FAR` of its class's median looks wrong, where that median is `TRUSTED`."""


class Shot(NamedTuple):
    """One example of one class.

    Attributes
    ----------
    place : int
        Its place among all examples.
    image : str or None
        Its path.
    features : list of mapping
        Of each of its tiles.
    masks : list of array
        As many, of each tile.
    """

    place: int
    image: str | None
    features: list[Features]
    masks: list[Mask]

    @property
    def shows(self) -> bool:
        """Whether it shows the object."""
        return any((mask == 1).any() for mask in self.masks)


def check_masks(
    method: SegmentationMethod, shots: Mapping[str, Sequence[Shot]]
) -> MaskCheck | None:
    """Leave each example out, segment it by the others, and collect those that look wrong.

    Parameters
    ----------
    method : SegmentationMethod
        The method.
    shots : mapping of str to sequence of Shot
        Of each class, its examples.

    Returns
    -------
    MaskCheck or None
        None where no class has two examples that show it.
    """
    overlaps: list[float] = []
    suspects: list[MaskSuspect] = []
    for label, examples in shots.items():
        showing = [shot for shot in examples if shot.shows]
        if len(showing) < 2:
            continue
        looked = showing[:: -(-len(showing) // MOST)]
        found = [_left_out(method, shot, examples) for shot in looked]
        overlaps += found
        usual = median(found)
        if len(showing) >= LEAST and usual >= TRUSTED:
            suspects += [
                MaskSuspect(shot.place, shot.image, label, iou, usual)
                for shot, iou in zip(looked, found, strict=True)
                if iou < FAR * usual
            ]
    if not overlaps:
        return None
    suspects.sort(key=lambda suspect: suspect.iou / suspect.usual)
    return MaskCheck(sum(overlaps) / len(overlaps), len(overlaps), tuple(suspects))


def overlap(method: SegmentationMethod, shot: Shot, state: Any) -> float:
    """Return the IoU of an example's mask and what a method finds in its picture.

    Parameters
    ----------
    method : SegmentationMethod
        The method.
    shot : Shot
        An example that shows the object.
    state : object
        What the method made of the class.
    """
    both = either = 0
    for features, mask in zip(shot.features, shot.masks, strict=True):
        soft = method.answer(features, [state]).masks.float().cpu()
        found = decide_at(soft, (mask.shape[0], mask.shape[1]))[0]
        known = mask <= 1
        both += int((found & (mask == 1)).sum())
        either += int(((found & known) | (mask == 1)).sum())
    return both / either


def _left_out(method: SegmentationMethod, left_out: Shot, examples: Sequence[Shot]) -> float:
    """Return the IoU of an example's mask and the one that the others find."""
    others = [shot for shot in examples if shot is not left_out]
    state = method.condition(
        [features for shot in others for features in shot.features],
        [mask for shot in others for mask in shot.masks],
    )
    return overlap(method, left_out, state)
