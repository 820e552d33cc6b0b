"""What lies where in a support folder: examples listed by their class, photos paired with masks."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from handful.errors import InputError
from handful.images import is_clutter, list_images, natural_key

OBJECT = "object"
"""The label of an example whose mask says where the object is, not which."""


@dataclass
class Listing:
    """The examples of a support folder, none of them decoded yet.

    Attributes
    ----------
    paths : list of Path
        The pictures.
    labels : list of str
        The class of each.
    masks : list of Path
        The mask of each; empty in a layout without masks.
    skipped : list of (path, why)
        What was left out.
    """

    paths: list[Path] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    masks: list[Path] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def has_masks(root: Path) -> bool:
    """Say whether a folder is laid out as photos and their masks."""
    return (root / "images").is_dir() and (root / "masks").is_dir()


def list_classes(root: Path) -> Listing:
    """List a folder with one sub-folder for each class.

    Raises
    ------
    InputError
        No sub-folders, or one without images.
    """
    listing = Listing()
    listing.skipped += [(str(path), "not in the folder of a class") for path in list_images(root)]
    folders = _folders(root)
    if not folders:
        where = "its images are in no sub-folder" if listing.skipped else "no images"
        raise InputError(f"{root}: {where}; put those of each class into a folder of its name")
    for folder in folders:
        paths = list_images(folder)
        if not paths:
            raise InputError(f"{folder}: no images; add some, or remove this class's folder")
        listing.paths += paths
        listing.labels += [_label(folder)] * len(paths)
    return listing


def list_masked(root: Path) -> Listing:
    """List photos and their masks, beside each other in ``images`` and ``masks``.

    The label of a pair is the name of the sub-folder that it is in, else `OBJECT`.

    Raises
    ------
    InputError
        A mask without a photo, a sub-folder without one for the masks, or two files of one name.
    """
    listing = Listing()
    _pair(listing, root / "images", root / "masks", OBJECT)
    for folder in _folders(root / "images"):
        masks = root / "masks" / folder.name
        if not masks.is_dir():
            raise InputError(f"{folder}: its photos have no masks; put them into {masks}")
        _pair(listing, folder, masks, _label(folder))
    return listing


def _pair(listing: Listing, images: Path, masks: Path, label: str) -> None:
    """Add the pairs of two folders to a listing, and what has no mask to what it skips."""
    photos, found = _by_stem(images), _by_stem(masks)
    for stem, mask in found.items():
        if stem not in photos:
            add = f"{images.name}/{stem}.jpg"
            raise InputError(f"{mask}: a mask without a photo; add {add} or remove it")
    for stem, path in photos.items():
        if stem in found:
            listing.paths.append(path)
            listing.labels.append(label)
            listing.masks.append(found[stem])
        else:
            listing.skipped.append((str(path), f"no mask {masks.name}/{stem}.png"))


def _folders(root: Path) -> list[Path]:
    folders = [path for path in root.iterdir() if path.is_dir() and not is_clutter(path.name)]
    return sorted(folders, key=lambda path: (natural_key(path.name), path.name))


def _label(folder: Path) -> str:
    # macOS hands out names decomposed: the same word must stay the same label everywhere
    return unicodedata.normalize("NFC", folder.name)


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_images(folder):
        stem = unicodedata.normalize("NFC", path.stem)
        if stem in found:
            raise InputError(f"{path}: {found[stem].name} has the same name; rename one of them")
        found[stem] = path
    return found
