"""Packed codes: function by function on disk, picture by picture to search, and their distances.

A library's codes are stored bit-sliced, a row of packed pictures for each function, so that the
code of a new category, which is a few of the functions, is read as a few rows. Bit b of a code
lies in byte b // 8 at the value 2 ** (b % 8).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.errors import InputError
from handful.files import replacing
from handful.index.store import Snapshot

Codes: TypeAlias = NDArray[np.uint8]
"""Packed codes (N, B), or bit slices (functions, ceil(N / 8))."""

Slicer: TypeAlias = Callable[[NDArray[np.float16]], Codes]
"""Maps features (n, D) to their bits, function by function: (functions, ceil(n / 8))."""

# words of 8 x 8 bits that are turned at once: 1 MB
_WORDS = 1 << 17

# the three exchanges of a transposition of 8 x 8 bits, by H. S. Warren, "Hacker's delight", 7-3
_EXCHANGES = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))


def sliced_codes(
    folder: Path, snapshot: Snapshot, name: str, encode: Slicer, functions: int
) -> list[Codes]:
    """Return the bit slices of every segment, computed where they are not on disk yet.

    Parameters
    ----------
    folder : Path
        The index; the slices are kept beside the features, ``codes-NAME-NUMBER.npy``.
    snapshot : Snapshot
        Its rows.
    name : str
        Of the library and its weights: what is kept under it is used again.
    encode : callable
        Gives the slices of features.
    functions : int
        How many there are.

    Returns
    -------
    list of ndarray
        (functions, ceil(rows / 8)) for each segment; memory maps where the folder can be written.
    """
    found = []
    for segment, features in zip(snapshot.segments, snapshot.parts, strict=True):
        path = folder / f"codes-{name}-{segment.number:06d}.npy"
        shape = (functions, -(-segment.rows // 8))
        kept = _kept(path, shape)
        if kept is None:
            kept = encode(features)
            if kept.shape != shape:
                raise ValueError(f"slices {kept.shape} where {shape} are needed")
            if os.access(folder, os.W_OK):
                with replacing(path) as part, part.open("wb") as file:
                    np.save(file, kept)
        found.append(kept)
    return found


def _kept(path: Path, shape: tuple[int, int]) -> Codes | None:
    """Map slices that were kept; None where there are none, or a damaged file."""
    try:
        codes = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return codes if codes.shape == shape and codes.dtype == np.uint8 else None


def gather(slices: Sequence[Codes], rows: Sequence[int], functions: ArrayLike) -> Codes:
    """Read some functions of all segments, and turn them into one code for each picture.

    Parameters
    ----------
    slices : sequence of ndarray
        (functions, ceil(n / 8)) for each segment.
    rows : sequence of int
        n, the pictures of each segment.
    functions : array_like
        Which make the code, (k,), in the order of its bits.

    Returns
    -------
    ndarray
        (N, ceil(k / 8)) uint8.
    """
    which = np.asarray(functions, np.int64)
    codes = np.zeros((sum(rows), -(-len(which) // 8)), np.uint8)
    start = 0
    for part, count in zip(slices, rows, strict=True):
        for byte in range(codes.shape[1]):
            chosen = part[which[8 * byte : 8 * byte + 8]]
            codes[start : start + count, byte] = turn(chosen)[:count]
        start += count
    return codes


def turn(slices: Codes) -> Codes:
    """Turn up to 8 slices (k, n) into a byte for each of 8 n pictures, bit by bit transposed.

    Examples
    --------
    >>> turn(np.array([[0b001], [0b011]], np.uint8)).tolist()
    [3, 2, 0, 0, 0, 0, 0, 0]
    """
    count, width = slices.shape
    square = np.zeros((width, 8), np.uint8)
    square[:, :count] = slices.T
    words = square.view("<u8")[:, 0]
    for start in range(0, width, _WORDS):
        part = words[start : start + _WORDS]
        for shift, mask in _EXCHANGES:
            changed = (part ^ (part >> np.uint64(shift))) & np.uint64(mask)
            part ^= changed ^ (changed << np.uint64(shift))
    return square.reshape(-1)


def as_words(codes: Codes) -> NDArray[np.uint64]:
    """Return packed codes (N, B) as words of 64 bits, (N, ceil(B / 8)), filled up with 0."""
    wide = np.zeros((len(codes), -(-codes.shape[1] // 8) * 8), np.uint8)
    wide[:, : codes.shape[1]] = codes
    return wide.view(np.uint64)


def as_numbers(codes: Codes, n_bits: int) -> NDArray[np.uint32]:
    """Return packed codes (N, B) of up to 32 bits as numbers, (N,)."""
    wide = np.zeros((len(codes), 4), np.uint8)
    wide[:, : codes.shape[1]] = codes
    numbers: NDArray[np.uint32] = wide.view("<u4")[:, 0]
    if n_bits < 32 and (numbers >> np.uint32(n_bits)).any():
        raise ValueError(f"codes hold more than {n_bits} bits")
    return numbers


def hamming(query: Codes, codes: Codes) -> NDArray[Any]:
    """Return how many bits differ between one code (B,) and each of some (N, B), (N,) integers.

    Examples
    --------
    >>> hamming(np.array([5], np.uint8), np.array([[5], [4], [2]], np.uint8)).tolist()
    [0, 1, 3]
    """
    short = {1: "<u1", 2: "<u2", 4: "<u4"}.get(codes.shape[1])
    if short is not None:
        words, asked = np.ascontiguousarray(codes).view(short), query.view(short)
        return np.asarray(np.bitwise_count(words[:, 0] ^ asked[0]))
    words, asked = as_words(codes), as_words(query[None])[0]
    return np.asarray(np.bitwise_count(words ^ asked).sum(1, dtype=np.int64))


def checked(codes: ArrayLike, n_bits: int) -> Codes:
    """Return packed codes as a table, refused where it is not one of `n_bits` bits.

    Raises
    ------
    ValueError
        Another shape.
    """
    table = np.ascontiguousarray(codes, np.uint8)
    if table.ndim != 2 or table.shape[1] != -(-n_bits // 8):
        raise ValueError(f"codes {table.shape}: (N, {-(-n_bits // 8)}) for {n_bits} bits")
    return table


def masks_by_weight(n_bits: int) -> Iterator[NDArray[np.uint32]]:
    """Yield the numbers below 2^n_bits with 0, 1, 2, ... bits set, each array ascending.

    Examples
    --------
    >>> [masks.tolist() for masks in masks_by_weight(2)]
    [[0], [1, 2], [3]]
    """
    numbers = np.arange(1 << n_bits, dtype=np.uint32)
    weight = np.bitwise_count(numbers)
    for count in range(n_bits + 1):
        yield numbers[weight == count]


def positive(k: int) -> int:
    """Return k, refused where it is below 1."""
    if k < 1:
        raise InputError(f"k is {k}; ask for 1 match or more")
    return k
