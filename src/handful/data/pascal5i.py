"""PASCAL-5i: VOC's 20 classes in four folds of five, the test of few-shot segmentation.

The set is that of Shaban et al. (BMVC 2017): photos and masks of VOC 2012 and of SBD together, as
``SegmentationClassAug``; the test photos are VOC's own ``val``. An image counts for a class when
its mask, looked at on every 32nd pixel, shows more than two pixels of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from handful.data.segmentation.photos import SegmentationSet, tables
from handful.data.voc import AUGMENTED, CLASSES, read_list, read_voc
from handful.errors import InputError

Split = Literal["val", "train"]

FOLDS = 4


def fold_classes(fold: int) -> tuple[str, ...]:
    """Return the five classes of a fold: 5 fold + 1 to 5 fold + 5.

    Raises
    ------
    InputError
        There is no such fold.

    Examples
    --------
    >>> fold_classes(3)
    ('pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor')
    """
    if not 0 <= fold < FOLDS:
        raise InputError(f"fold {fold}: PASCAL-5i has the folds 0 to {FOLDS - 1}")
    return CLASSES[5 * fold : 5 * fold + 5]


def split_names(root: str | os.PathLike[str], split: Split = "val") -> list[str]:
    """Return the photos of a split, by name without suffix.

    Parameters
    ----------
    root : path-like
        The folder ``VOC2012``.
    split : {"val", "train"}
        ``train`` is the list ``train_aug.txt``; ``val`` is ``val.txt``, or where that is
        missing, every mask that ``train_aug.txt`` does not name.

    Raises
    ------
    InputError
        The lists are not there.
    """
    if split == "train":
        return read_list(root, "train_aug")
    if split != "val":
        raise InputError(f"split {split!r}: PASCAL-5i has val and train")
    if (Path(root) / "ImageSets" / "Segmentation" / "val.txt").is_file():
        return read_list(root, "val")
    training = set(read_list(root, "train_aug"))
    return sorted({p.stem for p in (Path(root) / AUGMENTED).glob("*.png")} - training)


def image_class_counts(
    root: str | os.PathLike[str], split: Split = "val", small_object_rule: bool = True
) -> dict[int, int]:
    """Count the images of every class, from the masks.

    Parameters
    ----------
    root : path-like
        The folder ``VOC2012``, with ``SegmentationClassAug`` and ``ImageSets/Segmentation``.
    split : {"val", "train"}
        See :func:`split_names`.
    small_object_rule : bool
        Count an image for a class when its mask, sampled every 32nd pixel, has more than 2
        pixels of it; without the rule one pixel of the mask is enough.

    Returns
    -------
    dict
        Class number, 1 to 20 -> images.

    Raises
    ------
    InputError
        A list or a mask is missing.

    Notes
    -----
    With the rule VOC's val has 1,868 pairs of an image and a class, without it 2,148.
    """
    folder = Path(root) / AUGMENTED
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give VOC2012 with the masks of VOC and SBD")
    paths = [folder / f"{name}.png" for name in split_names(root, split)]
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: is missing, but a list names it; unpack the whole set")
    present, large = tables(paths, range(1, len(CLASSES) + 1))
    shown = present & large if small_object_rule else present
    return {number: int(n) for number, n in enumerate(np.sum(shown, axis=0), 1)}


def read_pascal5i(
    root: str | os.PathLike[str], split: Split = "val", *, small_object_rule: bool = True
) -> SegmentationSet:
    """Index the photos of a split, with all 20 classes; :func:`fold_classes` says which to test.

    Parameters
    ----------
    root : path-like
        The folder ``VOC2012``.
    split : {"val", "train"}
        See :func:`split_names`.
    small_object_rule : bool
        Whether an object of a few pixels makes its photo neither support nor query.
    """
    names = split_names(root, split)
    return read_voc(root, (), small_object_rule=small_object_rule, names=names)
