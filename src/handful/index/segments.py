"""Feature segments: files of half-precision rows that are written once and only ever mapped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from handful.errors import InputError
from handful.files import replacing, sha256

Rows: TypeAlias = NDArray[np.float16]

REMEDY = "delete the index folder and build it again with `handful index`"


def segment_path(folder: Path, number: int) -> Path:
    """Return where the segment of a number lies.

    Examples
    --------
    >>> segment_path(Path("index"), 12).name
    'features-000012.npy'
    """
    return folder / f"features-{number:06d}.npy"


def numbered_files(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield every file of a segment, features and codes, with the segment's number."""
    for path in (*folder.glob("features-*.npy"), *folder.glob("codes-*.npy")):
        digits = path.stem.rpartition("-")[2]
        if digits.isdigit():
            yield int(digits), path


def write_segment(folder: Path, number: int, features: Rows) -> str:
    """Write a segment so that it is on the disk, whole, before this returns.

    Parameters
    ----------
    folder : Path
        The index.
    number : int
        Of the segment; a file of that number that no manifest knows is replaced.
    features : ndarray
        (n, D) float16.

    Returns
    -------
    str
        The SHA-256 digest of the file.
    """
    path = segment_path(folder, number)
    with replacing(path) as part:
        with part.open("wb") as file:
            np.save(file, np.ascontiguousarray(features, np.float16))
            file.flush()
            os.fsync(file.fileno())
        digest = sha256(part)
    _sync_folder(folder)
    return digest


def map_segment(folder: Path, number: int, shape: tuple[int, int]) -> Rows:
    """Map a segment into memory.

    Returns
    -------
    ndarray
        (n, D) float16. It reads the file as it is used, and never writes to it.

    Raises
    ------
    FileNotFoundError
        It is gone: another process may have merged it into a new one.
    InputError
        The file is not what the manifest says it is.
    """
    path = segment_path(folder, number)
    try:
        # copy-on-write: torch takes no array that cannot be written, and nothing reaches the file
        rows: Rows = np.load(path, mmap_mode="c", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); {REMEDY}") from None
    if rows.shape != shape or rows.dtype != np.float16:
        raise InputError(f"{path}: holds {rows.shape}, not {shape}: damaged; {REMEDY}")
    return rows


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
