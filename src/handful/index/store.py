"""A folder of features on disk: a manifest and segments, changed a transaction at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.errors import InputError
from handful.files import sha256
from handful.index.manifest import Entry, Manifest, Segment, Stamp
from handful.index.segments import (
    REMEDY,
    Rows,
    map_segment,
    numbered_files,
    segment_path,
    write_segment,
)

FULL = 65_536
"""Rows from which a segment is left alone when segments are merged."""

WASTE = 0.25
"""Share of rows without a file from which all segments are written anew."""

_LOCK = "writer.lock"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The rows of an index at one moment.

    Attributes
    ----------
    segments : tuple of Segment
        What it is made of.
    parts : tuple of ndarray
        The features of each, (n, D) float16 memory maps.
    alive : ndarray
        Which of all rows have a file, (N,) bool; rows are counted through the segments.
    """

    segments: tuple[Segment, ...]
    parts: tuple[Rows, ...]
    alive: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.alive)

    @property
    def starts(self) -> NDArray[np.int64]:
        """The first row of each segment, and the end, (segments + 1,)."""
        return np.concatenate([[0], np.cumsum([len(part) for part in self.parts])]).astype(np.int64)

    def locate(self, row: int) -> tuple[int, int]:
        """Return the place of a row's segment in `segments`, and the row inside it."""
        starts = self.starts
        place = int(np.searchsorted(starts, row, side="right")) - 1
        return place, row - int(starts[place])


class Store:
    """The features of files, crash-safe: killed at any moment, it holds what was committed.

    Parameters
    ----------
    folder : Path
        An index that `create` made.

    Raises
    ------
    InputError
        No index there, or a damaged one.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> store = Store.create(folder, {"model": "m"})
    >>> with store.writing():
    ...     store.append([(Stamp("a.jpg", 1, 2), b"digest")], np.eye(1, 2))
    >>> len(store), store.snapshot().parts[0].tolist()
    (1, [[1.0, 0.0]])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = Manifest(folder)

    @classmethod
    def create(cls, folder: Path, about: dict[str, str]) -> Store:
        """Begin an empty store in a folder, which is created where missing."""
        Manifest.create(folder, about).close()
        return cls(folder)

    @property
    def dimensions(self) -> int | None:
        """The width of the features, D; None before the first were added."""
        found = self.manifest.about.get("dimensions")
        return None if found is None else int(found)

    def __len__(self) -> int:
        return self.manifest.count()

    def close(self) -> None:
        """Let go of the manifest."""
        self.manifest.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one that writes, and clear away what a killed writer left.

        Raises
        ------
        InputError
            Another process is writing.
        """
        if not os.access(self.folder, os.W_OK):
            raise InputError(f"{self.folder}: may not be written; change its permissions")
        # a lock of SQLite ends with the process that holds it, on every system
        lock = sqlite3.connect(self.folder / _LOCK, timeout=0, isolation_level=None)
        try:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                raise InputError(
                    f"{self.folder}: another process is writing to this index; wait for it to end"
                ) from None
            self._clear()
            yield
        finally:
            lock.close()

    def append(self, files: Sequence[tuple[Stamp, bytes]], features: ArrayLike) -> None:
        """Add files with their features, all or none; a path that is there already is replaced.

        Parameters
        ----------
        files : sequence of (Stamp, bytes)
            What was read, and the digest of its content.
        features : array_like
            (n, D), one row each.
        """
        rows, width = np.asarray(features, np.float16), self.dimensions
        if rows.ndim != 2 or len(rows) != len(files) or width not in (None, rows.shape[1]):
            raise ValueError(f"features {rows.shape} for {len(files)} files of width {width}")
        if not len(rows):
            return
        number = self.manifest.next_number()
        digest = write_segment(self.folder, number, rows)
        with self.manifest.change():
            self.manifest.tell("dimensions", str(rows.shape[1]))
            self.manifest.add_segment(number, len(rows), digest)
            before = (self.manifest.place_of(stamp.path) for stamp, _ in files)
            self.manifest.remove([found[0].id for found in before if found])
            for row, (stamp, content) in enumerate(files):
                self.manifest.add_file(stamp, content, number, row)
            self.manifest.forget_unreadable(stamp.path for stamp, _ in files)

    def entries(self) -> dict[str, Entry]:
        """Return the files by path."""
        return {entry.stamp.path: entry for entry in self.manifest.entries()}

    def snapshot(self) -> Snapshot:
        """Return the rows as they are now; what is written later does not change them."""
        for attempt in range(5):
            with self.manifest.view():
                segments = self.manifest.segments()
                alive = [self.manifest.alive(segment) for segment in segments]
            try:
                parts = list(map(self._map, segments))
            except FileNotFoundError as error:
                # merged by a writer since the manifest was read: read it again
                if attempt == 4:
                    raise InputError(f"{error.filename}: missing; {REMEDY}") from None
                continue
            mask = np.concatenate([np.zeros(0, bool), *alive])
            return Snapshot(tuple(segments), tuple(parts), mask)
        raise AssertionError("unreachable")

    def paths(self, snapshot: Snapshot, rows: Iterable[int]) -> list[str]:
        """Return the paths of the files of rows."""
        places = map(snapshot.locate, rows)
        return [
            self.manifest.path_of(snapshot.segments[place].number, row) for place, row in places
        ]

    def find(self, snapshot: Snapshot, path: str) -> tuple[Entry, int] | None:
        """Return the entry and the row of a path; None where the snapshot has none."""
        found = self.manifest.place_of(path)
        if found is None:
            return None
        entry, number, row = found
        places = [place for place, s in enumerate(snapshot.segments) if s.number == number]
        return (entry, int(snapshot.starts[places[0]]) + row) if places else None

    def merge(self) -> None:
        """Write small segments together, and all of them anew where much was removed."""
        segments = self.manifest.segments()
        alive = [self.manifest.alive(segment) for segment in segments]
        total, kept = sum(s.rows for s in segments), sum(int(mask.sum()) for mask in alive)
        if total - kept > WASTE * total:
            first = 0
        else:
            # the last ones that are not full; the order of rows stays
            full = [place for place, s in enumerate(segments) if s.rows >= FULL]
            first = full[-1] + 1 if full else 0
            if len(segments) - first < 2:
                return
        chosen = list(zip(segments[first:], alive[first:], strict=True))
        number, written = self.manifest.next_number(), []
        for group in _groups(chosen):
            parts = [self._verified(segment)[mask] for segment, mask in group]
            rows = np.concatenate(parts)
            if len(rows):
                written.append((number, len(rows), write_segment(self.folder, number, rows), group))
                number += 1
        with self.manifest.change():
            for target, count, digest, group in written:
                self.manifest.add_segment(target, count, digest)
                start = 0
                for segment, mask in group:
                    self.manifest.move_rows(segment.number, np.flatnonzero(mask), target, start)
                    start += int(mask.sum())
            self.manifest.drop_segments(segment.number for segment, _ in chosen)
        self._clear()

    def _verified(self, segment: Segment) -> Rows:
        """Map a segment whose content is what was written."""
        path = segment_path(self.folder, segment.number)
        if not path.is_file() or sha256(path) != segment.digest:
            raise InputError(f"{path}: missing or changed since it was written; {REMEDY}")
        return self._map(segment)

    def _map(self, segment: Segment) -> Rows:
        return map_segment(self.folder, segment.number, (segment.rows, self.dimensions or 0))

    def _clear(self) -> None:
        """Delete what no manifest names: it was written by a process that was killed."""
        known = {segment.number for segment in self.manifest.segments()}
        for number, path in numbered_files(self.folder):
            if number not in known:
                _delete(path)
        for path in self.folder.glob(".*.part*"):
            _delete(path)


def _groups(
    chosen: Sequence[tuple[Segment, NDArray[np.bool_]]],
) -> Iterator[list[tuple[Segment, NDArray[np.bool_]]]]:
    """Yield runs of segments, each of `FULL` rows that stay or a little more."""
    run: list[tuple[Segment, NDArray[np.bool_]]] = []
    for pair in chosen:
        run.append(pair)
        if sum(int(mask.sum()) for _, mask in run) >= FULL:
            yield run
            run = []
    if run:
        yield run


def _delete(path: Path) -> None:
    try:
        os.unlink(path)  # noqa: PTH108
    except OSError:
        # a system that does not let go of a file that is mapped; the next writer tries again
        return
