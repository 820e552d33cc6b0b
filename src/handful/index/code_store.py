"""One way to search codes of any length; which store holds them is chosen by their length."""

from __future__ import annotations

import os
from typing import Protocol

from numpy.typing import ArrayLike

from handful.index.binary import Exhaustive, InvertedLists
from handful.index.bucket import TABLE_BITS, Bucket, MultiProbe
from handful.index.hits import Hits, Ints


class CodeStore(Protocol):
    """Packed codes that can be searched; rows are numbered as they are added."""

    n_bits: int

    def __len__(self) -> int:
        """Return how many codes there are."""
        ...

    def add(self, codes: ArrayLike) -> Ints:
        """Add packed codes (n, B); return their rows."""
        ...

    def remove(self, rows: ArrayLike) -> None:
        """Find these rows no more; the numbers of the others stay."""
        ...

    def search(self, query: ArrayLike, k: int) -> Hits:
        """Return the k nearest of every query (Q, B), fewer where there are fewer."""
        ...

    def range(self, query: ArrayLike, radius: int) -> list[tuple[Ints, Ints]]:
        """Return the rows at most `radius` bits from each query, nearest first; maybe none."""
        ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one file, whole or not at all."""
        ...


def store_of(codes: ArrayLike, n_bits: int, *, exact: bool = True) -> CodeStore:
    """Return the store that suits a length of code.

    Parameters
    ----------
    codes : array_like
        Packed (N, ceil(n_bits / 8)).
    n_bits : int
        Up to 16: one table. Up to 32: two tables. Above: all codes compared, or inverted lists.
    exact : bool
        False: inverted lists above 32 bits, which may miss some.

    Examples
    --------
    >>> import numpy as np
    >>> [type(store_of(np.zeros((9, n // 8), np.uint8), n)).__name__ for n in (16, 32, 64)]
    ['Bucket', 'MultiProbe', 'Exhaustive']
    """
    if n_bits <= TABLE_BITS:
        return Bucket(codes, n_bits)
    if n_bits <= 2 * TABLE_BITS:
        return MultiProbe(codes, n_bits)
    return Exhaustive(codes, n_bits) if exact else InvertedLists(codes, n_bits)
