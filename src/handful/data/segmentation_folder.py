"""Photos and masks of one's own, as a segmentation set: a folder of images/ and masks/."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from handful.data.annotations.classes import numbered, read_classes
from handful.data.annotations.mask import OBJECT
from handful.data.segmentation_set import SegmentationSet, from_label_maps
from handful.errors import InputError
from handful.images import list_images


def read_pairs(
    root: str | os.PathLike[str], classes: Sequence[str] | None = None
) -> SegmentationSet:
    """Index ``images/X.jpg`` with ``masks/X.png``.

    Parameters
    ----------
    root : path-like
        The folder that holds ``images`` and ``masks`` (or ``labels``).
    classes : sequence of str, optional
        Without it and without ``classes.txt`` any value but 0 is the object; with either a value
        is a class's number: by the file, or 1, 2, ... in this order, or the numeral itself.

    Returns
    -------
    SegmentationSet
        A photo without a mask is listed as skipped.

    Raises
    ------
    InputError
        A folder is missing, or no photo has a mask.
    """
    base = Path(root)
    folder = next((base / name for name in ("masks", "labels") if (base / name).is_dir()), None)
    if not (base / "images").is_dir() or folder is None:
        raise InputError(f"{base}: no images/ and masks/; put photos and masks of one name there")
    masks = {_stem(path): path for path in list_images(folder)}
    photos = list_images(base / "images")
    pairs = [(photo, masks[_stem(photo)]) for photo in photos if _stem(photo) in masks]
    skipped = [
        (photo.relative_to(base).as_posix(), f"no mask {folder.name}/{photo.stem}.png")
        for photo in photos
        if _stem(photo) not in masks
    ]
    return from_label_maps(
        base.name or "folder", base, pairs, _numbers(base, classes), skipped=skipped
    )


def _numbers(base: Path, classes: Sequence[str] | None) -> Mapping[str, int | None]:
    if (base / "classes.txt").is_file():
        return read_classes(base / "classes.txt")
    return numbered(classes) if classes else {OBJECT: None}


def _stem(path: Path) -> str:
    return unicodedata.normalize("NFC", path.stem)
