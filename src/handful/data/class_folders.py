"""A data set of photos as people keep one: a folder, and in it one sub-folder for each class.

The conventions are those of a support (:mod:`handful.data.support`): a label is a folder's name,
hidden files and what systems leave behind are ignored, the order is the natural one. Nothing is
decoded here, so a folder of any size is listed at once. A manifest with labels stands for such a
folder; its boxes are then the images, its groups what must not be split.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.data.manifest import is_manifest, read_manifest
from handful.data.pictures import Cutout, Picture, name, title
from handful.errors import InputError
from handful.images import Box, is_clutter, list_images, natural_key

Skipped = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class ClassFolders:
    """The images of a folder of classes.

    Attributes
    ----------
    root : Path
        The folder.
    paths : tuple of Path
        The images, class by class.
    labels : tuple of str
        The class of each.
    skipped : tuple of (path, why)
        What was left out; paths relative to `root`.
    boxes : tuple of (box or None), or None
        Which object of a picture each image is, where that was given.
    groups : tuple of (str or None), or None
        What each image must not be parted from; None: it stands alone.
    """

    root: Path
    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    skipped: Skipped = ()
    boxes: tuple[Box | None, ...] | None = None
    groups: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, each once, in natural order."""
        return tuple(sorted(set(self.labels), key=lambda label: (natural_key(label), label)))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """What each image is: a path, or one object of a picture."""
        if self.boxes is None:
            return self.paths
        pairs = zip(self.paths, self.boxes, strict=True)
        return tuple(path if box is None else Cutout(path, box) for path, box in pairs)

    @property
    def names(self) -> tuple[str, ...]:
        """The paths relative to `root`, with forward slashes; with them the boxes, if any."""
        return tuple(self.name(picture) for picture in self.pictures)

    def name(self, picture: Picture) -> str:
        """Return one path relative to `root`, with forward slashes, and the box of a cutout."""
        path = Path(str(name(picture)))
        inside = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        box = (title(picture) or "").removeprefix(str(name(picture)))
        return inside.as_posix() + box

    @property
    def group_numbers(self) -> NDArray[np.int64] | None:
        """The groups as numbers (N,), an image without one in a group of its own; None: no groups.

        Examples
        --------
        >>> paths, labels = (Path("a"), Path("b"), Path("c")), ("x", "y", "x")
        >>> ClassFolders(Path(), paths, labels, groups=("n", None, "n")).group_numbers.tolist()
        [0, 1, 0]
        """
        if self.groups is None:
            return None
        keys = [(-1, g) if g is not None else (i, "") for i, g in enumerate(self.groups)]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        return np.array([numbers[key] for key in keys], np.int64)

    def take(self, which: ArrayLike, skipped: Iterable[tuple[str, str]] = ()) -> ClassFolders:
        """Return some of the images, by number, and list what else was `skipped`."""
        rows = np.asarray(which, np.int64).tolist()
        return replace(
            self,
            paths=tuple(self.paths[i] for i in rows),
            labels=tuple(self.labels[i] for i in rows),
            boxes=None if self.boxes is None else tuple(self.boxes[i] for i in rows),
            groups=None if self.groups is None else tuple(self.groups[i] for i in rows),
            skipped=(*self.skipped, *skipped),
        )


def read_class_folders(
    root: str | os.PathLike[str], classes: Collection[str] | None = None, min_classes: int = 2
) -> ClassFolders:
    """List the images of a folder of classes.

    Parameters
    ----------
    root : path-like
        A folder with one sub-folder of images for each class, or a manifest.
    classes : collection of str, optional
        The classes to take; all of them where not given.
    min_classes : int
        The fewest classes that make sense.

    Returns
    -------
    ClassFolders
        Images beside the classes' folders and classes without images are listed as skipped.

    Raises
    ------
    InputError
        No such folder, no sub-folders, a manifest without labels, a class asked for that is not
        there, or too few classes.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ["cat/2.jpg", "cat/10.jpg", "dog/1.png", "stray.jpg", "empty/readme.txt"]:
    ...     (root / name).parent.mkdir(exist_ok=True)
    ...     (root / name).touch()
    >>> found = read_class_folders(root)
    >>> found.names
    ('cat/2.jpg', 'cat/10.jpg', 'dog/1.png')
    >>> found.labels, dict(found.skipped)["empty"]
    (('cat', 'cat', 'dog'), 'no images')
    """
    root = Path(root)
    found = _from_manifest(root) if is_manifest(root) else _from_folders(root, classes)
    if classes is not None:
        wanted = {_nfc(name) for name in classes}
        missing = wanted - set(found.labels) - {path for path, _ in found.skipped}
        if missing:
            what = "row" if is_manifest(root) else "folder"
            raise InputError(f"{root}: no {what} for the class {min(missing)!r}; give its images")
        found = found.take([i for i, label in enumerate(found.labels) if label in wanted])
    have = found.classes
    if len(have) < min_classes:
        only = f"only {', '.join(have)}" if have else "none"
        raise InputError(f"{root}: {min_classes} classes with images are needed, it has {only}")
    return found


def _from_folders(root: Path, classes: Collection[str] | None) -> ClassFolders:
    stray = list_images(root)
    folders = [path for path in root.iterdir() if path.is_dir() and not is_clutter(path.name)]
    folders.sort(key=lambda path: (natural_key(path.name), path.name))
    if not folders:
        raise InputError(f"{root}: no sub-folders; put the images of each class into one")
    wanted = None if classes is None else {_nfc(name) for name in classes}
    skipped = [(path.name, "not in the folder of a class") for path in stray]
    paths: list[Path] = []
    labels: list[str] = []
    for folder in folders:
        label = _nfc(folder.name)
        if wanted is not None and label not in wanted:
            continue
        found = list_images(folder)
        paths += found
        labels += [label] * len(found)
        if not found:
            skipped.append((folder.name, "no images"))
    return ClassFolders(root, tuple(paths), tuple(labels), tuple(skipped))


def _from_manifest(path: Path) -> ClassFolders:
    manifest = read_manifest(path)
    root = path if path.is_dir() else path.parent
    rows = [row for row in manifest if row.label is not None]
    if not rows:
        raise InputError(f"{path}: no row has a label; add a column label")
    folder = ClassFolders(
        root,
        tuple(row.path for row in rows),
        tuple(str(row.label) for row in rows),
        boxes=tuple(row.box for row in rows) if any(row.box for row in rows) else None,
        groups=None if manifest.groups is None else tuple(row.group for row in rows),
    )
    skipped = [(folder.name(path), why) for path, why in manifest.skipped]
    skipped += [(folder.name(row.picture), "no label") for row in manifest if row.label is None]
    return folder.take(range(len(rows)), skipped)


def classes_of_role(path: str | os.PathLike[str], role: str) -> tuple[str, ...]:
    r"""Read from a file which classes have a role.

    Parameters
    ----------
    path : path-like
        Lines of a class, white space and its role (such as ``train``, ``validation`` or
        ``test``); lines that begin with ``#`` are comments.
    role : str
        The role asked for.

    Raises
    ------
    InputError
        The file cannot be read, a line has no role, a class has two, or no class has this role.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "split.txt"
    >>> _ = path.write_text("# class: role\nbass train\nsea horse test\n")
    >>> classes_of_role(path, "test")
    ('sea horse',)
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise InputError(f"{path}: {why}; give a file of lines 'CLASS ROLE'") from error
    roles: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.strip().rsplit(maxsplit=1)
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2:
            raise InputError(f"{path}: line {number} ({line.strip()!r}) has no role; add one")
        name = _nfc(words[0])
        if roles.setdefault(name, words[1]) != words[1]:
            raise InputError(f"{path}: line {number} gives {name!r} a second role; keep one")
    found = tuple(name for name, given in roles.items() if given == role)
    if not found:
        there = ", ".join(sorted(set(roles.values()))) or "none"
        raise InputError(f"{path}: no class has the role {role!r}; there are {there}")
    return found


def _nfc(text: str) -> str:
    # macOS hands out names decomposed: the same word must stay the same label everywhere
    return unicodedata.normalize("NFC", text)
