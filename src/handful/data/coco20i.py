"""COCO-20i: COCO's 80 classes in four folds of twenty.

The layout is COCO's own: ``annotations/instances_NAME.json`` and the photos in ``NAME/``, where
NAME is such as ``val2014``. Masks are drawn from the JSON: the union of a class's instances,
crowds left out.
"""

from __future__ import annotations

import os
from pathlib import Path

from handful.data.annotations.coco import CocoFile, read_coco
from handful.data.annotations.shapes import AnnotatedImage, from_shapes
from handful.data.segmentation.photos import SegmentationSet
from handful.errors import InputError

FOLDS = 4


def read_coco20i(root: str | os.PathLike[str], split: str = "val2014") -> SegmentationSet:
    """Index the photos of a split, with all classes; :func:`fold_classes` says which to test.

    Parameters
    ----------
    root : path-like
        COCO's folder.
    split : str
        Such as ``val2014`` or ``train2014``.

    Returns
    -------
    SegmentationSet
        Classes in the order of the categories' numbers.

    Raises
    ------
    InputError
        The JSON or a photo is missing.
    """
    base = Path(root)
    path = base / "annotations" / f"instances_{split}.json"
    if not path.is_file():
        there = sorted(p.stem.removeprefix("instances_") for p in path.parent.glob("instances_*"))
        raise InputError(f"{path}: no such file; there are the splits {', '.join(there) or 'none'}")
    return coco_set("coco", read_coco(path), path.name, base / split, base)


def coco_set(name: str, file: CocoFile, called: str, folder: Path, root: Path) -> SegmentationSet:
    """Index the photos of any COCO file.

    Parameters
    ----------
    name : str
        The data set.
    file : CocoFile
        What it holds.
    called : str
        Its name, for messages.
    folder : Path
        What its file names are relative to.
    root : Path
        What the set's paths are given relative to; holds `folder`.

    Raises
    ------
    InputError
        A photo is missing.
    """
    pairs: list[tuple[Path, AnnotatedImage]] = []
    for image in file.images:
        photo = folder / image.path
        if not photo.is_file():
            raise InputError(f"{photo}: is missing, but {called} names it; unpack all photos")
        pairs.append((photo, image))
    return from_shapes(name, root, pairs, file.labels)


def fold_classes(dataset: SegmentationSet, fold: int) -> tuple[str, ...]:
    """Return the classes of a fold: every fourth of the sorted categories, i + 4 v.

    Raises
    ------
    InputError
        There is no such fold.
    """
    if not 0 <= fold < FOLDS:
        raise InputError(f"fold {fold}: COCO-20i has the folds 0 to {FOLDS - 1}")
    return dataset.labels[fold::FOLDS]
