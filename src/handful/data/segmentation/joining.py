"""Several segmentation sets as one, with classes of two names brought together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handful.data.annotations.mask import VALUE_VOID, Mask
from handful.data.segmentation.photos import Indices, MaskSource, SegmentationSet, Table
from handful.errors import InputError
from handful.images import size

Columns = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class JoinedMasks:
    """Masks of several sets: a `MaskSource`.

    Attributes
    ----------
    sources : tuple of MaskSource
        One for each set.
    columns : tuple of tuple of tuple of int
        For each set, and each class of the whole, the set's own classes that it is made of.
    photos : tuple of Path
        All photos; a class that a photo's set does not know has an empty mask of its size.
    origin : ndarray
        (photos, 2) int64: the set of each photo, and its number there.
    """

    sources: tuple[MaskSource, ...]
    columns: tuple[Columns, ...]
    photos: tuple[Path, ...]
    origin: Indices

    def read(self, image: int, label: int) -> Mask:
        """Return where a class is in a photo."""
        number, row = self.origin[image].tolist()
        own = self.columns[number][label]
        if not own:
            return np.zeros(size(self.photos[image]), np.uint8)
        masks = [self.sources[number].read(row, column) for column in own]
        union: Mask = masks[0].copy()
        for mask in masks[1:]:
            union[(mask == VALUE_VOID) & (union == 0)] = VALUE_VOID
            union[mask == 1] = 1
        return union

    def take(self, rows: Indices, labels: Indices) -> JoinedMasks:
        """Return the masks of some photos, of some classes."""
        return replace(
            self,
            columns=tuple(tuple(own[c] for c in labels.tolist()) for own in self.columns),
            photos=tuple(self.photos[i] for i in rows.tolist()),
            origin=self.origin[rows],
        )


def join(
    sets: Sequence[SegmentationSet], renamed: Sequence[Mapping[str, str]] = ()
) -> SegmentationSet:
    """Put the photos of several sets into one.

    Parameters
    ----------
    sets : sequence of SegmentationSet
        The sets; a class that one of them does not know counts as not shown in its photos.
    renamed : sequence of mapping
        For each set, its classes that bear another name in the whole. Two that get one name
        become one class.

    Returns
    -------
    SegmentationSet
        Classes in the order in which they first occur.

    Raises
    ------
    InputError
        Another number of renamings than of sets.

    Examples
    --------
    >>> from handful.data.segmentation.photos import LabelMaps
    >>> def small(name, labels, present):
    ...     masks = LabelMaps((Path("m.png"),) * len(present), (1,) * len(labels))
    ...     paths = tuple(f"{i}.jpg" for i in range(len(present)))
    ...     return SegmentationSet(name, Path("/data") / name, paths, labels, present, masks)
    >>> voc = small("voc", ("dog", "person"), np.array([[True, False]]))
    >>> msrc = small("msrc", ("body", "face", "tree"), np.array([[False, True, False]]))
    >>> whole = join([voc, msrc], [{}, {"body": "person", "face": "person"}])
    >>> whole.labels, whole.paths, whole.counts()["person"]
    (('dog', 'person', 'tree'), ('voc/0.jpg', 'msrc/0.jpg'), 1)
    """
    names = list(renamed) or [{}] * len(sets)
    if len(names) != len(sets) or not sets:
        raise InputError(f"{len(sets)} sets and {len(names)} renamings: give one for each set")
    called = [
        [new.get(label, label) for label in s.labels] for s, new in zip(sets, names, strict=True)
    ]
    labels = tuple(dict.fromkeys(label for own in called for label in own))
    columns: list[Columns] = [
        tuple(tuple(c for c, name in enumerate(own) if name == label) for label in labels)
        for own in called
    ]
    root = Path(os.path.commonpath([s.root.absolute() for s in sets]))
    photos = tuple(s.photo(i).absolute() for s in sets for i in range(len(s)))
    origin = np.array([(n, i) for n, s in enumerate(sets) for i in range(len(s))], np.int64)
    return SegmentationSet(
        "+".join(s.name for s in sets),
        root,
        tuple(photo.relative_to(root).as_posix() for photo in photos),
        labels,
        np.concatenate([_merged(s.present, own) for s, own in zip(sets, columns, strict=True)]),
        JoinedMasks(tuple(s.masks for s in sets), tuple(columns), photos, origin.reshape(-1, 2)),
        np.concatenate([_merged(s.eligible, own) for s, own in zip(sets, columns, strict=True)]),
        skipped=tuple(pair for s in sets for pair in s.skipped),
    )


def _merged(table: Table, columns: Columns) -> Table:
    return np.stack([table[:, list(own)].any(1) for own in columns], axis=1)
