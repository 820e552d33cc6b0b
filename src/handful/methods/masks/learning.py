"""What a method of segmentation learns from a support, and which of two has learned it better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import Any, NamedTuple

from handful.answers import MaskCheck
from handful.errors import InputError
from handful.methods.choice import UNMASKED
from handful.methods.masks.check import Shot, check_masks, overlap
from handful.methods.masks.support import Example
from handful.methods.masks.zoom import SIDE, Zoom, choose_zoom, encode_tiles, learning_tiles
from handful.methods.segmenter import SegmentationMethod

MARGIN = 0.27
"""By how much one method must find the examples that are left out better than another, divided
by the root of their number.

Of a few examples it is a rough guess, and a bare majority often takes the worse of the two. It is
the smallest that costs next to nothing on validation classes."""

SURELY = 0.4
"""By how much one method must find a lone example in its own picture better than another."""

# share of a picture that an object covers, where nobody marked one
_TYPICAL = 0.1


class Learned(NamedTuple):
    """A method that has seen a support.

    Attributes
    ----------
    method : SegmentationMethod
        The method.
    zoom : Zoom
        At which size it sees pictures.
    shots : dict of str to list of Shot
        Of each class, its examples.
    states : list
        What it made of each class.
    check : MaskCheck or None
        The support with each example left out once; None where no class can spare one.
    """

    method: SegmentationMethod
    zoom: Zoom
    shots: dict[str, list[Shot]]
    states: list[Any]
    check: MaskCheck | None


def objects_zoom(classes: Sequence[str], examples: Sequence[Example]) -> Zoom:
    """Return at which size pictures are to be seen for the objects of the examples."""
    return choose_zoom([e.masks[label] for e in examples if label in e.masks] for label in classes)


def learn(
    method: SegmentationMethod,
    classes: Sequence[str],
    examples: Sequence[Example],
    zoom: Zoom | None,
) -> Learned:
    """Encode the examples, condense each class, and examine the support by itself.

    Parameters
    ----------
    method : SegmentationMethod
        The method.
    classes : sequence of str
        The classes.
    examples : sequence of Example
        Their pictures.
    zoom : Zoom or None
        What `objects_zoom` gave; None where examples have labels alone.

    Raises
    ------
    InputError
        Labels alone, for a method that learns from masks.
    """
    zoom = _seen(method, zoom)
    shots: dict[str, list[Shot]] = {label: [] for label in classes}
    for place, example in enumerate(examples):
        for label, shot in _shots(method, place, example, zoom):
            if label in shots:
                shots[label].append(shot)
    states = [
        method.condition(
            [features for shot in of_class for features in shot.features],
            [mask for shot in of_class for mask in shot.masks],
        )
        for of_class in shots.values()
    ]
    return Learned(method, zoom, shots, states, check_masks(method, shots))


def finds_better(one: Learned, other: Learned) -> bool:
    """Say whether `one` finds the examples of a support better than `other` does.

    Examples that are left out decide, by a margin; where no class can spare one, the examples in
    their own pictures, which a method that is fitted to them must find by far better.
    """
    if one.check is not None and other.check is not None:
        return one.check.iou - other.check.iou > MARGIN / sqrt(one.check.tested)
    return _own_overlap(one) - _own_overlap(other) > SURELY


def _own_overlap(learned: Learned) -> float:
    found = [
        overlap(learned.method, shot, state)
        for of_class, state in zip(learned.shots.values(), learned.states, strict=True)
        for shot in of_class
        if shot.shows
    ]
    return sum(found) / len(found)


def _seen(method: SegmentationMethod, zoom: Zoom | None) -> Zoom:
    """Return at which size pictures are seen: whole where no mask says how large objects are."""
    if not getattr(method, "uses_masks", True):
        return Zoom(None, _TYPICAL)
    if zoom is None:
        raise InputError(
            f"{method.name}: learns from masks, and the examples have labels alone; give masks, or"
            f" take the model {UNMASKED}"
        )
    return replace(zoom, side=getattr(method, "side", SIDE))


def _shots(
    method: SegmentationMethod, place: int, example: Example, zoom: Zoom
) -> list[tuple[str, Shot]]:
    """Encode an example once, for every class that it is an example of."""
    image = example.read()
    tiles = learning_tiles(zoom.tiles((image.shape[0], image.shape[1])), [*example.masks.values()])
    features = encode_tiles(method, image, tiles)
    return [
        (label, Shot(place, example.image, features, [tile.cut(mask) for tile in tiles]))
        for label, mask in example.masks.items()
    ]
