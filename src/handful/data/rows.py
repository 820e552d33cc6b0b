"""The rows of a manifest: one picture, or one object of a picture, each; whatever their format."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np

from handful.data.pictures import Cutout, Picture
from handful.data.progress import in_threads
from handful.errors import InputError
from handful.images import Box, clip_box, size

Skipped = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a manifest.

    Attributes
    ----------
    path : Path
        The picture.
    label : str or None
        What it shows, where known.
    box : (x, y, width, height) or None
        Where it shows it, in pixels, inside the picture; None is the whole picture.
    group : str or None
        What must not be split between support and test: a camera, a slide, a burst. None: it
        stands alone.
    where : str
        Its place in the manifest, such as ``line 7``.
    """

    path: Path
    label: str | None = None
    box: Box | None = None
    group: str | None = None
    where: str = ""

    @property
    def picture(self) -> Picture:
        """The picture or its part, as every verb takes it."""
        return self.path if self.box is None else Cutout(self.path, self.box)


@dataclass(frozen=True)
class Manifest(Sequence[Row]):
    """What a manifest lists.

    Attributes
    ----------
    source : Path
        The file or folder that was read.
    rows : tuple of Row
        In its order; each file exists, each box lies inside its picture.
    skipped : tuple of (path, why)
        What was left out.

    Examples
    --------
    >>> manifest = Manifest(Path("m.csv"), (Row(Path("a.jpg"), "cat"), Row(Path("b.jpg"))))
    >>> manifest.labels, manifest.pictures[0].name
    (('cat', None), 'a.jpg')
    """

    source: Path
    rows: tuple[Row, ...]
    skipped: Skipped = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Manifest: ...

    def __getitem__(self, index: int | slice) -> Row | Manifest:
        if isinstance(index, slice):
            return replace(self, rows=self.rows[index])
        return self.rows[index]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """What each row shows: for `Recognizer.predict`."""
        return tuple(row.picture for row in self.rows)

    @property
    def labels(self) -> tuple[str | None, ...]:
        """The label of each row."""
        return tuple(row.label for row in self.rows)

    @property
    def groups(self) -> tuple[str | None, ...] | None:
        """The group of each row; None where no row has one."""
        groups = tuple(row.group for row in self.rows)
        return groups if any(groups) else None


def settle(
    source: Path, rows: Sequence[Row], skipped: Sequence[tuple[str, str]] = (), share: bool = False
) -> Manifest:
    """Look at the files that rows name: leave out what is missing, clip boxes to their pictures.

    Parameters
    ----------
    source : Path
        Where the rows were read.
    rows : sequence of Row
        As they were read.
    skipped : sequence of (path, why)
        What is left out already.
    share : bool
        Whether the boxes are shares of the picture's width and height, in [0, 1], not pixels.

    Returns
    -------
    Manifest
        Missing files and boxes outside their picture are among its ``skipped``.
    """
    left_out, kept = list(skipped), []
    files = sorted({row.path for row in rows if row.box is not None})
    sizes = dict(zip(files, in_threads(_size, files, "reading sizes"), strict=True))
    for row in rows:
        found = _settled(row, sizes.get(row.path), share)
        if isinstance(found, Row):
            kept.append(found)
        else:
            left_out.append((str(row.path), f"{found} ({row.where})" if row.where else found))
    return Manifest(source, tuple(kept), tuple(left_out))


def locate(text: str, folders: Sequence[Path]) -> Path:
    """Return the file that a manifest names, in the first of some folders that has it.

    Where none has it, it is the one in the first folder. Backslashes of Windows are understood.
    """
    names = [text, text.replace("\\", "/")] if "\\" in text else [text]
    places = [folder / name for folder in folders for name in names]
    return next((place for place in places if place.is_file()), places[0])


def clean(text: str | None) -> str | None:
    """Return a label or group without the spaces around it; None where nothing is left.

    Examples
    --------
    >>> clean(" sea horse "), clean("  ")
    ('sea horse', None)
    """
    # composed and decomposed letters look the same: one label everywhere
    return unicodedata.normalize("NFC", text).strip() or None if text else None


def _size(path: Path) -> tuple[int, int] | str:
    try:
        return size(path)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")


def _settled(row: Row, found: tuple[int, int] | str | None, share: bool) -> Row | str:
    """Return the row with its box inside the picture, or why it cannot be used."""
    if row.box is None or found is None:
        return row if row.path.is_file() else "no such file; check the path"
    if isinstance(found, str):
        return found
    height, width = found
    box = np.multiply(row.box, (width, height, width, height)) if share else row.box
    try:
        return replace(row, box=clip_box(tuple(map(float, box)), height, width))
    except InputError as error:
        return str(error)
