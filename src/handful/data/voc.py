"""PASCAL VOC: photos, masks of classes, and lists that split them.

The layout is that of the published archive: ``JPEGImages/X.jpg``, ``SegmentationClass/X.png``,
``ImageSets/Segmentation/NAME.txt``; ``SegmentationClassAug`` holds the masks of VOC and SBD
together and is taken where it is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from handful.data.segmentation.photos import SegmentationSet, from_label_maps
from handful.errors import InputError

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""The classes, whose numbers in the masks are 1 to 20."""

NUMBERS = {name: number for number, name in enumerate(CLASSES, 1)}

AUGMENTED = "SegmentationClassAug"


def read_list(root: str | os.PathLike[str], split: str) -> list[str]:
    """Return the photos of a list, by name without suffix.

    A line is a name, or as some published lists have it, the paths of a photo and of its mask.

    Raises
    ------
    InputError
        No such list, or an empty one.
    """
    folder = Path(root) / "ImageSets" / "Segmentation"
    path = folder / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in folder.glob("*.txt"))) or "none"
        raise InputError(f"{path}: no such list; there are {there}")
    names = [Path(line.split()[0]).stem for line in path.read_text().splitlines() if line.strip()]
    if not names:
        raise InputError(f"{path}: the list is empty; give one that names photos")
    return names


def mask_folders(root: str | os.PathLike[str]) -> list[Path]:
    """Return the folders of masks: of VOC and SBD together, then of VOC alone.

    Raises
    ------
    InputError
        Neither is there.
    """
    found = [Path(root) / name for name in (AUGMENTED, "SegmentationClass")]
    found = [folder for folder in found if folder.is_dir()]
    if not found:
        raise InputError(f"{root}: no {AUGMENTED} and no SegmentationClass; give VOCdevkit/VOC2012")
    return found


def read_voc(
    root: str | os.PathLike[str],
    splits: Iterable[str],
    *,
    small_object_rule: bool = False,
    names: Iterable[str] | None = None,
) -> SegmentationSet:
    """Index the photos of one or more lists.

    Parameters
    ----------
    root : path-like
        The folder ``VOC2012``.
    splits : iterable of str
        Names of lists in ``ImageSets/Segmentation``; a photo of two lists counts once.
    small_object_rule : bool
        Whether an object of a few pixels makes its photo neither support nor query.
    names : iterable of str, optional
        The photos, in the place of lists.

    Returns
    -------
    SegmentationSet
        With all 20 classes.

    Raises
    ------
    InputError
        A list, a photo or a mask is missing.
    """
    base, folders = Path(root), mask_folders(root)
    wanted = names if names is not None else [n for s in splits for n in read_list(root, s)]
    stems = list(dict.fromkeys(wanted))
    pairs = [(base / "JPEGImages" / f"{stem}.jpg", _mask(folders, stem)) for stem in stems]
    for path in (path for pair in pairs for path in pair):
        if not path.is_file():
            raise InputError(f"{path}: is missing, but a list names it; unpack the whole set")
    return from_label_maps("voc", base, pairs, NUMBERS, small_object_rule=small_object_rule)


def _mask(folders: Sequence[Path], stem: str) -> Path:
    paths = [folder / f"{stem}.png" for folder in folders]
    return next((path for path in paths if path.is_file()), paths[0])
