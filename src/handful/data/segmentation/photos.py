"""A set of photos with masks, whatever it came from: what all readers of such sets give.

A set knows which classes every photo shows; photos and masks themselves are decoded when they are
asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.data.annotations.classes import resolve
from handful.data.annotations.mask import VALUE_VOID, Mask, class_mask
from handful.data.progress import in_threads
from handful.errors import InputError
from handful.images import read, read_mask, size

GRID, MORE_THAN = 32, 2
"""The small-object rule of PASCAL-5i: every 32nd pixel is looked at, more than 2 must be hit."""

Table = NDArray[np.bool_]
Indices = NDArray[np.int64]


class MaskSource(Protocol):
    """Where the masks of a set come from."""

    def read(self, image: int, label: int) -> Mask:
        """Return where a class is in a photo, (H, W) uint8: 1, 0, or 255 for void."""
        ...

    def take(self, rows: Indices, labels: Indices) -> MaskSource:
        """Return the source of some of the photos and of some of the classes."""
        ...


@dataclass(frozen=True, eq=False)
class SegmentationSet:
    """Photos, and where their classes are.

    Attributes
    ----------
    name : str
        The data set, as results call it.
    root : Path
        The folder that `paths` are relative to.
    paths : tuple of str
        The photos, with forward slashes.
    labels : tuple of str
        The classes.
    present : ndarray
        (photos, classes) bool: at least one pixel shows the class.
    masks : MaskSource
        Where masks are read from.
    eligible : ndarray, optional
        (photos, classes) bool: shows the class well enough to be a support or a query; `present`
        where no rule leaves small objects out.
    numbers : mapping of str to int
        The number of each class in the masks, where classes have numbers.
    skipped : tuple of (path, why)
        What was left out.
    """

    name: str
    root: Path
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    present: Table
    masks: MaskSource
    eligible: Table = None  # type: ignore[assignment]
    numbers: Mapping[str, int] = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.eligible is None:
            object.__setattr__(self, "eligible", self.present)
        shape = (len(self.paths), len(self.labels))
        if self.present.shape != shape or self.eligible.shape != shape:
            raise InputError(f"{self.root}: {shape} photos and classes, but other tables of them")

    def __len__(self) -> int:
        return len(self.paths)

    def counts(self, small_objects: bool = True) -> dict[str, int]:
        """Return how many photos show each class; with `small_objects` left out by the rule."""
        table = self.present if small_objects else self.eligible
        return dict(zip(self.labels, table.sum(0).tolist(), strict=True))

    def photo(self, image: int) -> Path:
        """Return the file of a photo."""
        return self.root / self.paths[image]

    def image(self, image: int) -> NDArray[np.uint8]:
        """Decode a photo: (H, W, 3) uint8."""
        return read(self.photo(image))

    def mask(self, image: int, label: int) -> Mask:
        """Decode where a class is: (H, W) uint8, 1 the class, 0 not, 255 void."""
        return self.masks.read(image, label)

    def checked_mask(self, image: int, label: int) -> Mask:
        """Decode a mask and check that it has its photo's size.

        Raises
        ------
        InputError
            The sizes differ.
        """
        mask, shape = self.mask(image, label), size(self.photo(image))
        if mask.shape != shape:
            raise InputError(
                f"{self.photo(image)}: {shape[1]} x {shape[0]}, but its mask is"
                f" {mask.shape[1]} x {mask.shape[0]}; make them of one size"
            )
        return mask

    def of(self, label: int) -> Indices:
        """Return the photos that show a class well enough to be a support or a query."""
        return np.flatnonzero(self.eligible[:, label])

    def find(self, names: Iterable[str]) -> list[int]:
        """Return the classes that a person named, by name or number.

        Raises
        ------
        InputError
            No such class.
        """
        found = resolve(names, self.labels, self.root, self.numbers)
        return [self.labels.index(label) for label in found]

    def take(self, photos: ArrayLike) -> SegmentationSet:
        """Return some of the photos, with all classes."""
        rows = np.asarray(photos, np.int64)
        return replace(
            self,
            paths=tuple(self.paths[i] for i in rows),
            present=self.present[rows],
            eligible=self.eligible[rows],
            masks=self.masks.take(rows, np.arange(len(self.labels))),
        )

    def only(self, names: Iterable[str]) -> SegmentationSet:
        """Return some of the classes, with all photos."""
        columns = np.array(self.find(names), np.int64)
        return replace(
            self,
            labels=tuple(self.labels[c] for c in columns),
            present=self.present[:, columns],
            eligible=self.eligible[:, columns],
            masks=self.masks.take(np.arange(len(self)), columns),
        )

    def without(self, names: Iterable[str]) -> SegmentationSet:
        """Return the photos that show none of some classes, not even a pixel of them."""
        return self.take(np.flatnonzero(~self.present[:, self.find(names)].any(1)))

    def showing(self, names: Iterable[str]) -> SegmentationSet:
        """Return the photos that show at least one of some classes."""
        return self.take(np.flatnonzero(self.present[:, self.find(names)].any(1)))


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """One mask of values for each photo.

    Attributes
    ----------
    paths : tuple of Path
        The masks.
    numbers : tuple of (int or None)
        The value of each class; None: any value but 0.
    void : frozenset of int
        Values that say nothing.
    """

    paths: tuple[Path, ...]
    numbers: tuple[int | None, ...]
    void: frozenset[int] = frozenset({VALUE_VOID})

    def read(self, image: int, label: int) -> Mask:
        """Return where a class is in a photo."""
        return class_mask(read_mask(self.paths[image]), self.numbers[label], self.void)

    def take(self, rows: Indices, labels: Indices) -> LabelMaps:
        """Return the masks of some photos, of some classes."""
        return replace(
            self,
            paths=tuple(self.paths[i] for i in rows),
            numbers=tuple(self.numbers[c] for c in labels),
        )


def tables(
    paths: Sequence[Path], numbers: Sequence[int | None], title: str = "reading masks"
) -> tuple[Table, Table]:
    """Look through masks of values for the classes that they show.

    Returns
    -------
    present, large : ndarray
        (masks, classes) bool: any pixel; more than `MORE_THAN` of every `GRID`-th pixel.
    """

    def look(path: Path) -> tuple[list[bool], list[bool]]:
        values = read_mask(path)
        return _shown(values, numbers, 0), _shown(values[::GRID, ::GRID], numbers, MORE_THAN)

    seen = in_threads(look, list(paths), title)
    shape = (len(seen), len(numbers))
    present = np.array([row for row, _ in seen], bool).reshape(shape)
    large = np.array([row for _, row in seen], bool).reshape(shape)
    return present, large


def _shown(values: NDArray[Any], numbers: Sequence[int | None], more_than: int) -> list[bool]:
    if values.dtype in (np.uint8, np.uint16):  # counting is five times faster than sorting
        count = np.bincount(values.ravel())
        pixels = {value: int(count[value]) for value in np.flatnonzero(count).tolist()}
    else:
        found, sorted_count = np.unique(values, return_counts=True)
        pixels = dict(zip(found.tolist(), sorted_count.tolist(), strict=True))
    anything = int(values.size) - pixels.get(0, 0)
    return [(anything if n is None else pixels.get(n, 0)) > more_than for n in numbers]


def from_label_maps(
    name: str,
    root: Path,
    pairs: Sequence[tuple[Path, Path]],
    numbers: Mapping[str, int | None],
    void: Collection[int] = (VALUE_VOID,),
    *,
    small_object_rule: bool = False,
    skipped: Iterable[tuple[str, str]] = (),
) -> SegmentationSet:
    """Index photos with one mask of values each.

    Parameters
    ----------
    name : str
        The data set.
    root : Path
        What the photos' paths are given relative to.
    pairs : sequence of (Path, Path)
        Photo and mask.
    numbers : mapping of str to (int or None)
        The value of each class; None: any value but 0.
    void : collection of int
        Values that say nothing.
    small_object_rule : bool
        Whether an object of a few pixels makes its photo neither support nor query.
    skipped : iterable of (path, why)
        What the reader left out already.

    Raises
    ------
    InputError
        No photo, or a mask that cannot be read.
    """
    if not pairs:
        raise InputError(f"{root}: no photo with a mask; give the folder that holds both")
    masks = tuple(mask for _, mask in pairs)
    present, large = tables(masks, list(numbers.values()))
    return SegmentationSet(
        name,
        root,
        tuple(photo.relative_to(root).as_posix() for photo, _ in pairs),
        tuple(numbers),
        present,
        LabelMaps(masks, tuple(numbers.values()), frozenset(void)),
        present & large if small_object_rule else present,
        {label: number for label, number in numbers.items() if number is not None},
        tuple(skipped),
    )


def resized_mask(mask: Mask, shape: tuple[int, int]) -> Mask:
    """Resize a mask to `shape` = (height, width) by the nearest pixel, so no value is invented.

    Examples
    --------
    >>> resized_mask(np.array([[0, 1], [255, 0]], np.uint8), (2, 4)).tolist()
    [[0, 0, 1, 1], [255, 255, 0, 0]]
    """
    rows = (np.arange(shape[0]) + 0.5) * mask.shape[0] // shape[0]
    columns = (np.arange(shape[1]) + 0.5) * mask.shape[1] // shape[1]
    return np.ascontiguousarray(mask[np.ix_(rows.astype(np.int64), columns.astype(np.int64))])
