"""Which files of a folder are images, and in what order people expect them."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from handful.errors import InputError

# fmt: off
IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib",
    ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".avif",
    # not decoded, but meant as images: listed, so that whoever reads them says why not
    ".heic", ".heif", ".jxl", ".jp2",
})
# fmt: on
"""Suffixes, in lower case, of the files that `list_images` takes for images."""

_CLUTTER = frozenset({"__MACOSX", "@eaDir"})


def natural_key(text: str) -> tuple[int | str, ...]:
    """Return a sort key that puts ``b2`` before ``b10`` and ignores case.

    Examples
    --------
    >>> sorted(["b10", "B2", "a"], key=natural_key)
    ['a', 'B2', 'b10']
    """
    folded = unicodedata.normalize("NFC", text).casefold()
    parts = re.split(r"([0-9]+)", folded)
    # split by a group: every second part is a number, so parts of one place always compare
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts))


def is_clutter(name: str) -> bool:
    """Tell whether a file or folder is hidden, or one that systems leave behind unasked.

    Examples
    --------
    >>> is_clutter(".DS_Store"), is_clutter("cat.jpg")
    (True, False)
    """
    return name.startswith(".") or name in _CLUTTER


def list_images(folder: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """List the image files of a folder, by suffix, in natural order.

    Hidden files and folders are left out; links are followed, each folder once.

    Parameters
    ----------
    folder : path-like
        The folder.
    recursive : bool
        Enter sub-folders too.

    Returns
    -------
    list of Path
        Paths that begin with `folder`; empty where it holds no image.

    Raises
    ------
    InputError
        `folder` does not exist or is no folder.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ["10.PNG", "9.jpg", ".hidden.png", "notes.txt"]:
    ...     (folder / name).touch()
    >>> [path.name for path in list_images(folder)]
    ['9.jpg', '10.PNG']
    """
    root = Path(folder)
    if not root.is_dir():
        what = "is a file, where a folder" if root.exists() else "no such folder; a folder"
        raise InputError(f"{root}: {what} of images is needed")
    found: list[Path] = []
    entered: set[str] = set()
    for here, folders, files in os.walk(root, followlinks=True):
        entered.add(os.path.realpath(here))
        folders[:] = [
            name
            for name in folders
            if recursive
            and not is_clutter(name)
            and os.path.realpath(os.path.join(here, name)) not in entered  # noqa: PTH118
        ]
        found += [Path(here, name) for name in files if _is_image(name)]
    return sorted(found, key=lambda path: _path_key(path.relative_to(root)))


def _is_image(name: str) -> bool:
    return not is_clutter(name) and Path(name).suffix.lower() in IMAGE_SUFFIXES


def _path_key(path: Path) -> tuple[object, ...]:
    # the text itself comes last, so that names equal but for case keep one order everywhere
    return (tuple(natural_key(part) for part in path.parts), str(path))
