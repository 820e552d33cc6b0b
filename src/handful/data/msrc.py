"""MSRC: 591 photos with dense masks of 23 classes, 20 of which make four folds of five."""

from __future__ import annotations

import os
from pathlib import Path

from handful.data.annotations.classes import read_classes
from handful.data.segmentation.photos import SegmentationSet, from_label_maps
from handful.errors import InputError
from handful.images import list_images

LEFT_OUT = frozenset({"void", "horse", "mountain", "water"})
"""Void, and classes that too few photos show or that hold the scene together."""

FOLDS = 4

_SAME = ("aeroplane", "bicycle", "bird", "boat", "car", "cat", "chair", "cow", "dog", "sheep")

TWINS = {
    **{name: name for name in _SAME},
    "body": "person",
    "face": "person",
}
"""MSRC's classes that VOC has too, and their names there; flower and tree are no potted plant."""


def read_msrc(root: str | os.PathLike[str], *, every: bool = False) -> SegmentationSet:
    """Index the photos, with the 20 classes in alphabetical order.

    Parameters
    ----------
    root : path-like
        A folder of ``images/``, ``masks/`` (values by ``classes.txt``) and ``classes.txt``.
    every : bool
        Take horse, mountain and water too, say to leave their photos out of a training.

    Returns
    -------
    SegmentationSet
        Value 0 (void) says nothing; classes that are not taken are background.

    Raises
    ------
    InputError
        A file is missing or cannot be read.
    """
    base = Path(root)
    numbers = read_classes(base / "classes.txt")
    left_out = frozenset({"void"}) if every else LEFT_OUT
    kept = {name: numbers[name] for name in sorted(numbers) if name not in left_out}
    pairs = []
    for photo in list_images(base / "images"):
        mask = base / "masks" / f"{photo.stem}.png"
        if not mask.is_file():
            raise InputError(f"{mask}: the mask of {photo.name} is missing; unpack the whole set")
        pairs.append((photo, mask))
    return from_label_maps("msrc", base, pairs, kept, void=(0, 255))


def fold_classes(dataset: SegmentationSet, fold: int) -> tuple[str, ...]:
    """Return the classes of one of the four folds: five in a row of the alphabet.

    Raises
    ------
    InputError
        There is no such fold.
    """
    if not 0 <= fold < FOLDS:
        raise InputError(f"fold {fold}: MSRC has the folds 0 to {FOLDS - 1}")
    share = len(dataset.labels) // FOLDS
    return dataset.labels[fold * share : (fold + 1) * share]
