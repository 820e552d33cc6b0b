"""FSS-1000: a thousand classes of ten photos each, and a mask for every photo.

The layout is the published one: ``CLASS/1.jpg`` with ``CLASS/1.png``. A split is a text file of
classes, one a line. A set of one's own may be kept so too; a photo whose mask is empty takes no
part.

X. Li et al., "FSS-1000: a 1000-class dataset for few-shot segmentation", CVPR 2020.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handful.data.annotations.mask import Mask
from handful.data.class_folders import read_class_folders
from handful.data.progress import in_threads
from handful.data.segmentation.photos import Indices, SegmentationSet
from handful.errors import InputError
from handful.images import read, size

_LEVEL = 128  # masks are grey pictures with soft edges


@dataclass(frozen=True, eq=False)
class OwnedMasks:
    """One mask for each photo, of the one class that the photo was taken for: a `MaskSource`."""

    paths: tuple[Path, ...]
    owner: Indices

    def read(self, image: int, label: int) -> Mask:
        """Return where a class is in a photo: nowhere, if the photo was taken for another."""
        if self.owner[image] != label:
            return np.zeros(size(self.paths[image]), np.uint8)
        return _object(self.paths[image])

    def take(self, rows: Indices, labels: Indices) -> OwnedMasks:
        """Return the masks of some photos, of some classes."""
        new = {int(old): place for place, old in enumerate(labels)}
        owner = np.array([new.get(int(self.owner[i]), -1) for i in rows], np.int64)
        return replace(self, paths=tuple(self.paths[i] for i in rows), owner=owner)


def read_fss1000(
    root: str | os.PathLike[str], split: str | None = None, classes: Sequence[str] | None = None
) -> SegmentationSet:
    """Index the photos of a split's classes.

    Parameters
    ----------
    root : path-like
        The folder of the classes' folders.
    split : str, optional
        A text file of classes: ``NAME.txt`` or ``splits/NAME.txt`` in the root, or its path. All
        classes without it.
    classes : sequence of str, optional
        The classes, in the place of a split's.

    Raises
    ------
    InputError
        A file or a folder is missing, or a photo has no mask.
    """
    base = Path(root)
    wanted = classes if classes is not None else _split(base, split) if split else None
    folders = read_class_folders(base, wanted, min_classes=1)
    photos = [i for i, path in enumerate(folders.paths) if path.suffix.lower() != ".png"]
    masks = tuple(folders.paths[i].with_suffix(".png") for i in photos)
    for mask in masks:
        if not mask.is_file():
            raise InputError(f"{mask}: the mask of a photo is missing; unpack the whole set")
    labels = folders.classes
    owner = np.array([labels.index(folders.labels[i]) for i in photos], np.int64)
    shown = in_threads(lambda mask: bool(_object(mask).any()), masks, "reading masks")
    return SegmentationSet(
        "fss1000",
        base,
        tuple(folders.names[i] for i in photos),
        labels,
        (owner[:, None] == np.arange(len(labels))) & np.array(shown, bool)[:, None],
        OwnedMasks(masks, owner),
        skipped=folders.skipped,
    )


def _object(path: Path) -> Mask:
    # some masks are saved in colour: their brightness is what was meant
    bright: Mask = (read(path).mean(2) >= _LEVEL).astype(np.uint8)
    return bright


def _split(base: Path, name: str) -> list[str]:
    tried = [base / f"{name}.txt", base / "splits" / f"{name}.txt", Path(name)]
    path = next((path for path in tried if path.is_file()), None)
    if path is None:
        raise InputError(f"{tried[1]}: no such list of classes; write one class a line")
    found = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    return [name for name in found if name]
