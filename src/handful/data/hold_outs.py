"""The hold-outs A and B: what is trained on VOC and MSRC together, and what is tested.

Class names are VOC's where MSRC means the same (`handful.data.msrc.TWINS`). A photo that shows a
test class, under whichever name, is in no training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handful.data import msrc
from handful.data.segmentation.joining import join
from handful.data.segmentation.photos import SegmentationSet

Name = Literal["A", "B"]

A_CLASSES: tuple[str, ...] = ("sofa", "pottedplant", "tvmonitor", "diningtable")
"""VOC's furniture: sofas, plants in pots, screens, tables."""

VALIDATION: tuple[str, ...] = ("bottle", "motorbike", "sign", "flower")
"""Two of VOC's and two of MSRC's classes that are never trained on, to choose settings by."""


@dataclass(frozen=True, eq=False)
class HoldOut:
    """One hold-out.

    Attributes
    ----------
    test : SegmentationSet
        Photos to draw test episodes from, each showing a test class.
    test_classes : tuple of str
        Their classes, by the names of `test`.
    photos : SegmentationSet
        Photos to train and validate on, of both sets; none shows a test class.
    train_classes, validation_classes : tuple of str
        By the names of `photos`.
    """

    test: SegmentationSet
    test_classes: tuple[str, ...]
    photos: SegmentationSet
    train_classes: tuple[str, ...]
    validation_classes: tuple[str, ...]


def hold_out(
    name: Name,
    voc: SegmentationSet,
    photos: SegmentationSet,
    never: tuple[str, ...] = (),
) -> HoldOut:
    """Split VOC and MSRC.

    Parameters
    ----------
    name : {"A", "B"}
        A tests `A_CLASSES` on VOC, B tests fold 1 of MSRC.
    voc : SegmentationSet
        VOC's photos, of all lists.
    photos : SegmentationSet
        MSRC's (:func:`handful.data.msrc.read_msrc`).
    never : tuple of str
        Further classes that no photo of the training may show, by VOC's names or MSRC's; classes
        that neither set has are passed over. For horse read MSRC with ``every=True``.

    Returns
    -------
    HoldOut
        Classes without a photo left are in none of its lists.
    """
    if name == "A":
        source, tested = voc, A_CLASSES
        barred = set(A_CLASSES)
    else:
        kept = photos.only([label for label in photos.labels if label not in msrc.LEFT_OUT])
        source, tested = photos, msrc.fold_classes(kept, 1)
        barred = {msrc.TWINS.get(label, label) for label in tested}
    whole = join([voc, photos], [{}, msrc.TWINS])
    barred |= {msrc.TWINS.get(label, label) for label in never}
    left = whole.without([label for label in whole.labels if label in barred])
    shown = [label for label, count in left.counts().items() if count]
    usable = [label for label in shown if label not in msrc.LEFT_OUT or label in voc.labels]
    return HoldOut(
        source.showing(tested),
        tested,
        left,
        tuple(label for label in usable if label not in VALIDATION),
        tuple(label for label in usable if label in VALIDATION),
    )
