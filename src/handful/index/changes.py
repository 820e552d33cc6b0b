"""What has changed in a folder since it was indexed: new, changed, moved and removed files."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from handful.errors import InputError
from handful.images import list_images
from handful.index.manifest import Entry, Stamp

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Changes:
    """What is to be done to bring an index up to its folder.

    Attributes
    ----------
    new, changed : tuple of Stamp
        Files to be read: without an entry, and with one of another content.
    moved, touched : tuple of (int, Stamp)
        Entries, by id, whose content is as it was: under another path, or another time.
    removed : tuple of int
        Entries whose file is gone, by id.
    """

    new: tuple[Stamp, ...]
    changed: tuple[Stamp, ...]
    moved: tuple[tuple[int, Stamp], ...]
    touched: tuple[tuple[int, Stamp], ...]
    removed: tuple[int, ...]


def stamp(root: Path, path: str) -> Stamp | None:
    """Return what a file under a folder looks like now; None where it is gone."""
    try:
        found = (root / path).stat()
    except OSError:
        return None
    return Stamp(path, found.st_size, found.st_mtime_ns)


def content_digest(path: Path) -> bytes | None:
    """Return a digest of 16 bytes of a file's content; None where it cannot be read."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while block := file.read(_CHUNK):
                digest.update(block)
    except OSError:
        return None
    return digest.digest()


def list_stamps(root: Path) -> list[Stamp]:
    """List the image files below a folder, sub-folders too, in natural order.

    Raises
    ------
    InputError
        No such folder.
    """
    names = (path.relative_to(root).as_posix() for path in list_images(root, recursive=True))
    # a file that goes between the listing and the look counts as gone
    return [found for found in (stamp(root, name) for name in names) if found is not None]


def compare(root: Path, now: Iterable[Stamp], before: Mapping[str, Entry]) -> Changes:
    """Compare a folder with the entries of an index.

    A file of the size and time of its entry counts as the same, unread. A file with another time
    is read: it was changed where its digest differs. A file without an entry is read where one
    that is gone or changed has its size: with the same digest it was moved.

    Parameters
    ----------
    root : Path
        The folder.
    now : iterable of Stamp
        What it holds.
    before : mapping of str to Entry
        What the index has, by path.

    Returns
    -------
    Changes
        In the order of `now`.
    """
    stamps = {found.path: found for found in now}
    new: list[Stamp] = []
    changed: list[Stamp] = []
    touched: list[tuple[int, Stamp]] = []
    free = [entry for path, entry in before.items() if path not in stamps]
    gone = {entry.id for entry in free}
    for path, found in stamps.items():
        entry = before.get(path)
        if entry is None:
            new.append(found)
        elif found != entry.stamp:
            # sizes that differ need no reading
            same = found.size == entry.stamp.size and content_digest(root / path) == entry.digest
            if same:
                touched.append((entry.id, found))
            else:
                changed.append(found)
                free.append(entry)
    moved = _moves(root, [*new, *changed], free)
    taken = {stamp.path for _, stamp in moved}
    used = {number for number, _ in moved}
    # where a file was moved over another one, that one is gone
    gone |= {before[path].id for path in taken & before.keys()}
    return Changes(
        tuple(found for found in new if found.path not in taken),
        tuple(found for found in changed if found.path not in taken),
        tuple(moved),
        tuple(touched),
        tuple(sorted(gone - used)),
    )


def _moves(root: Path, found: Iterable[Stamp], free: Collection[Entry]) -> list[tuple[int, Stamp]]:
    """Pair files with entries of the same content, each entry once."""
    by_content: dict[bytes, list[Entry]] = {}
    for entry in free:
        by_content.setdefault(entry.digest, []).append(entry)
    sizes = {entry.stamp.size for entry in free}
    moved = []
    for one in found:
        digest = content_digest(root / one.path) if one.size in sizes else None
        if digest is not None and by_content.get(digest):
            moved.append((by_content[digest].pop(0).id, one))
    return moved


def check_folder(root: Path, now: Collection[Stamp], entries: int) -> None:
    """Refuse to forget everything because a folder is empty for the moment.

    Raises
    ------
    InputError
        The index has entries and its folder holds no image.
    """
    if entries and not now:
        raise InputError(
            f"{root}: holds no image any more, {entries:,} were indexed; is its disk mounted?"
        )
