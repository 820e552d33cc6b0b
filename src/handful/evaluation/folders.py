"""A folder of classes encoded by a method: each photo decoded once, a few in memory at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from handful.data.class_folders import ClassFolders
from handful.data.pictures import bare_reason
from handful.data.progress import track
from handful.errors import InputError
from handful.methods.encoding import encode_pictures
from handful.methods.matcher import Matcher

_PARTS = {"boxes", "test", "train", "training", "val", "valid", "validation", "images"}


@dataclass(frozen=True, eq=False)
class EncodedFolder:
    """The features of a folder of classes.

    Attributes
    ----------
    folder : ClassFolders
        The images that could be read; the others are among its ``skipped``.
    features : Tensor
        (N, ...) float32, one row per image.
    """

    folder: ClassFolders
    features: Tensor


def encode_folder(matcher: Matcher, folder: ClassFolders) -> EncodedFolder:
    """Encode every image of a folder; files that cannot be read are skipped.

    Raises
    ------
    InputError
        No image can be read, or the features are not numbers.
    """
    unread: list[tuple[str, str]] = []
    kept: list[int] = []
    features: Tensor | None = None
    pictures = track(folder.pictures, f"encoding with {matcher.name}", len(folder))
    for batch, part in encode_pictures(matcher, pictures, unread):
        if features is None:  # the whole is allocated once: two copies of it may be gigabytes
            features = part.new_empty(len(folder), *part.shape[1:])
        features[len(kept) : len(kept) + len(part)] = part
        kept += batch.places
    if features is None:
        raise InputError(f"{folder.root}: none of its images can be read ({unread[0][1]})")
    features = features[: len(kept)]
    if not features.isfinite().all():
        raise InputError(f"{matcher.name}: its features are not numbers; its weights are damaged")
    skipped = [(folder.name(path), bare_reason(why, path)) for path, why in unread]
    return EncodedFolder(folder.take(kept, skipped), features)


def dataset_name(root: Path) -> str:
    """Name a data set by its folder, and by the one above where that is only a part of it.

    Examples
    --------
    >>> dataset_name(Path("data/caltech66")), dataset_name(Path("data/lion-reid/val"))
    ('caltech66', 'lion-reid-val')
    """
    whole = root.absolute()
    return f"{whole.parent.name}-{whole.name}" if whole.name in _PARTS else whole.name
