"""The manifest of an index, in SQLite: which file has which row, and what was read of it.

Every change of an index is one transaction here. What lies beside it (`handful.index.segments`) is
written before the transaction that names it and deleted after the one that no longer does, so at
any moment the manifest names whole files only.
"""

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
from handful.index.segments import REMEDY

NAME = "manifest.sqlite"
FORMAT = "1"

_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, rows INTEGER NOT NULL, digest TEXT NOT NULL);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    digest BLOB NOT NULL, segment INTEGER NOT NULL, row INTEGER NOT NULL,
    removed INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX present ON files (path) WHERE removed = 0;
CREATE UNIQUE INDEX place ON files (segment, row);
CREATE TABLE unreadable (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, why TEXT NOT NULL)
    WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file looked like from outside.

    Attributes
    ----------
    path : str
        Relative to the indexed folder, with forward slashes.
    size : int
        In bytes.
    mtime_ns : int
        When it was last written, in nanoseconds.
    """

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A file whose features the index has.

    Attributes
    ----------
    id : int
        Of the entry, never used again.
    stamp : Stamp
        The file when it was read.
    digest : bytes
        Of its content.
    """

    id: int
    stamp: Stamp
    digest: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment file that the manifest names."""

    number: int
    rows: int
    digest: str


class Manifest:
    """The files of an index and where their features are.

    Parameters
    ----------
    folder : Path
        The folder of an index that `create` made.

    Raises
    ------
    InputError
        No index is there, one of another format, or a damaged one.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> manifest = Manifest.create(folder, {"model": "m"})
    >>> with manifest.change():
    ...     manifest.add_segment(1, 1, "digest")
    ...     manifest.add_file(Stamp("a.jpg", 10, 20), b"content", 1, 0)
    >>> [entry.stamp.path for entry in manifest.entries()], manifest.count()
    (['a.jpg'], 1)
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        if not self.path.is_file():
            raise InputError(f"{folder}: no index here; make one with `handful index FOLDER --out`")
        self._base = _connect(self.path)
        try:
            found = self._base.execute("SELECT value FROM about WHERE key = 'format'").fetchone()
        except sqlite3.DatabaseError as error:
            self._base.close()
            raise InputError(f"{self.path}: damaged or no manifest ({error}); {REMEDY}") from None
        if found is None or found[0] != FORMAT:
            self._base.close()
            raise InputError(f"{self.path}: of another version of handful; {REMEDY}")

    @classmethod
    def create(cls, folder: Path, about: dict[str, str]) -> Manifest:
        """Begin an empty one; `about` is what the index says of itself."""
        folder.mkdir(parents=True, exist_ok=True)
        base = _connect(folder / NAME)
        rows = [("format", FORMAT), *about.items()]
        try:
            base.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";\n"):
                base.execute(statement)
            base.executemany("INSERT INTO about VALUES (?, ?)", rows)
            base.execute("COMMIT")
        finally:
            base.close()
        return cls(folder)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Say whether an index was begun here; what a killed `create` left does not count."""
        path = folder / NAME
        if not path.is_file():
            return False
        base = _connect(path)
        try:
            tables = base.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError:
            return True  # something is here; opening it will say what is wrong
        finally:
            base.close()
        return bool(tables[0])

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Make what is written inside one transaction: all of it, or nothing."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    @contextmanager
    def view(self) -> Iterator[None]:
        """Let all that is read inside be of one moment."""
        self._base.execute("BEGIN")
        try:
            yield
        finally:
            self._base.execute("COMMIT")

    @property
    def about(self) -> dict[str, str]:
        """What the index says of itself."""
        return dict(self._base.execute("SELECT key, value FROM about"))

    def tell(self, key: str, value: str) -> None:
        """Note something about the index."""
        self._base.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (key, value))

    def count(self) -> int:
        """Return how many files there are."""
        return int(self._base.execute("SELECT count(*) FROM files WHERE removed = 0").fetchone()[0])

    def entries(self) -> Iterator[Entry]:
        """Yield the files, in the order in which they came."""
        rows = self._base.execute(
            "SELECT id, path, size, mtime_ns, digest FROM files WHERE removed = 0"
            " ORDER BY segment, row"
        )
        for number, path, size, mtime, digest in rows:
            yield Entry(number, Stamp(os.fsdecode(path), size, mtime), digest)

    def segments(self) -> list[Segment]:
        """Return the segments, the oldest first."""
        rows = self._base.execute("SELECT number, rows, digest FROM segments ORDER BY number")
        return [Segment(*row) for row in rows]

    def next_number(self) -> int:
        """Return a number that no segment has had."""
        found = self._base.execute("SELECT seq FROM sqlite_sequence WHERE name = 'segments'")
        row = found.fetchone()
        return 1 + (row[0] if row else 0)

    def add_segment(self, number: int, rows: int, digest: str) -> None:
        """Name a segment file that is on the disk."""
        self._base.execute("INSERT INTO segments VALUES (?, ?, ?)", (number, rows, digest))

    def drop_segments(self, numbers: Iterable[int]) -> None:
        """Forget segments, and the removed files that still had rows there."""
        found = [(number,) for number in numbers]
        self._base.executemany("DELETE FROM files WHERE segment = ? AND removed = 1", found)
        self._base.executemany("DELETE FROM segments WHERE number = ?", found)

    def add_file(self, stamp: Stamp, digest: bytes, segment: int, row: int) -> None:
        """Add a file whose features lie in a row of a segment."""
        self._base.execute(
            "INSERT INTO files (path, size, mtime_ns, digest, segment, row)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (os.fsencode(stamp.path), stamp.size, stamp.mtime_ns, digest, segment, row),
        )

    def restamp(self, changes: Sequence[tuple[int, Stamp]]) -> None:
        """Give entries, by id, other paths, sizes and times, and leave their features."""
        # a path may pass from one entry to another: first none of them has one
        self._base.executemany(
            "UPDATE files SET path = ? WHERE id = ?", [(b"\0%d" % n, n) for n, _ in changes]
        )
        self._base.executemany(
            "UPDATE files SET path = ?, size = ?, mtime_ns = ? WHERE id = ?",
            [(os.fsencode(s.path), s.size, s.mtime_ns, number) for number, s in changes],
        )

    def remove(self, numbers: Iterable[int]) -> None:
        """Mark entries, by id, as removed; their rows stay until segments are merged."""
        self._base.executemany(
            "UPDATE files SET removed = 1 WHERE id = ?", [(number,) for number in numbers]
        )

    def move_rows(self, segment: int, kept: ArrayLike, target: int, start: int) -> None:
        """Say that rows of a segment now lie in another, one after the other from `start`."""
        pairs = enumerate(np.asarray(kept, np.int64).tolist(), start)
        self._base.executemany(
            "UPDATE files SET segment = ?, row = ? WHERE segment = ? AND row = ?",
            [(target, new, segment, old) for new, old in pairs],
        )

    def alive(self, segment: Segment) -> NDArray[np.bool_]:
        """Return which rows of a segment have a file, (rows,)."""
        found = self._base.execute(
            "SELECT row FROM files WHERE segment = ? AND removed = 0", (segment.number,)
        )
        mask = np.zeros(segment.rows, bool)
        mask[[row for (row,) in found]] = True
        return mask

    def path_of(self, segment: int, row: int) -> str:
        """Return the path of the file of a row."""
        found = self._base.execute(
            "SELECT path FROM files WHERE segment = ? AND row = ? AND removed = 0", (segment, row)
        ).fetchone()
        if found is None:
            raise InputError(f"{self.path}: changed while it was searched; open the index anew")
        return os.fsdecode(found[0])

    def place_of(self, path: str) -> tuple[Entry, int, int] | None:
        """Return the entry of a path with its segment and row; None where there is none."""
        found = self._base.execute(
            "SELECT id, size, mtime_ns, digest, segment, row FROM files"
            " WHERE path = ? AND removed = 0",
            (os.fsencode(path),),
        ).fetchone()
        if found is None:
            return None
        number, size, mtime, digest, segment, row = found
        return Entry(number, Stamp(path, size, mtime), digest), segment, row

    def unreadable(self) -> dict[str, tuple[Stamp, str]]:
        """Return the files that could not be read, each with the reason, by path."""
        rows = self._base.execute("SELECT path, size, mtime_ns, why FROM unreadable ORDER BY path")
        stamps = ((Stamp(os.fsdecode(path), size, mtime), why) for path, size, mtime, why in rows)
        return {stamp.path: (stamp, why) for stamp, why in stamps}

    def set_unreadable(self, stamp: Stamp, why: str) -> None:
        """Note that a file cannot be read, so that it is not tried again while it stays so."""
        self._base.execute(
            "INSERT OR REPLACE INTO unreadable VALUES (?, ?, ?, ?)",
            (os.fsencode(stamp.path), stamp.size, stamp.mtime_ns, why),
        )

    def forget_unreadable(self, paths: Iterable[str]) -> None:
        """Forget that files could not be read."""
        found = [(os.fsencode(path),) for path in paths]
        self._base.executemany("DELETE FROM unreadable WHERE path = ?", found)


def _connect(path: Path) -> sqlite3.Connection:
    if path.is_file() and not os.access(path.parent, os.W_OK):
        # on a medium that cannot be written there is nobody else who could
        address = f"{path.absolute().as_uri()}?immutable=1"
        return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        # whoever searches may do so from a thread of their own
        base = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path}: cannot be used ({error}); {REMEDY}") from None
    return base
