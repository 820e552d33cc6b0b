"""Short codes found by looking them up: a table of all codes up to 16 bits, two tables up to 32.

Up to 16 bits a table holds the rows of every code, and a query looks at the codes at distance 0,
then at 1, and so on. Up to 32 bits, codes are cut into two halves with a table each: M. Norouzi,
A. Punjani, D. Fleet, "Fast exact search in Hamming space with multi-index hashing", 2014. Both are
exact; equal distances come by row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.errors import InputError
from handful.files import replacing
from handful.index.codes import Codes, as_numbers, checked, masks_by_weight, positive
from handful.index.hits import Hits, Ints, best

TABLE_BITS = 16

# where more than this share would have to be looked at, all codes are
_SCAN_FROM = 1 / 16


class Table:
    """The rows of every number below 2^bits.

    Parameters
    ----------
    numbers : ndarray
        (n,) unsigned.
    bits : int
        At most 16.
    rows : ndarray
        (n,): what each is called, ascending.
    """

    def __init__(self, numbers: NDArray[np.unsignedinteger[Any]], bits: int, rows: Ints) -> None:
        short = numbers.astype(np.uint16)
        # 16 bits are sorted by radix; equal numbers keep their order
        self.rows = rows[np.argsort(short, kind="stable")]
        counts = np.bincount(short, minlength=1 << bits)
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.bits = bits

    def count(self, numbers: NDArray[np.unsignedinteger[Any]]) -> Ints:
        """Return how many rows each number has."""
        return np.asarray(self.starts[numbers + np.uint32(1)] - self.starts[numbers])

    def members(self, numbers: NDArray[np.unsignedinteger[Any]], most: int | None = None) -> Ints:
        """Return the rows of some numbers, the first `most` of each, number by number."""
        begin, count = self.starts[numbers], self.count(numbers)
        if most is not None:
            count = np.minimum(count, most)
        if len(numbers) == 1:
            return self.rows[int(begin[0]) : int(begin[0] + count[0])]
        ends = np.cumsum(count)
        places = np.arange(int(ends[-1])) + np.repeat(begin - (ends - count), count)
        return np.asarray(self.rows[places])


@lru_cache(maxsize=TABLE_BITS)
def _masks(bits: int) -> tuple[NDArray[np.uint32], ...]:
    return tuple(masks_by_weight(bits))


class _Numbers:
    """Codes of up to 32 bits, some of them removed; what is built of them is built when needed."""

    most_bits: int

    def __init__(self, codes: ArrayLike, n_bits: int) -> None:
        if not 1 <= n_bits <= self.most_bits:
            raise ValueError(f"{n_bits} bits: 1 to {self.most_bits}")
        self.n_bits = n_bits
        self.numbers = as_numbers(checked(codes, n_bits), n_bits)
        self.alive = np.ones(len(self.numbers), bool)
        self._stale = True

    def __len__(self) -> int:
        return int(self.alive.sum())

    def add(self, codes: ArrayLike) -> Ints:
        """Add packed codes (n, B); return their rows."""
        more = as_numbers(checked(codes, self.n_bits), self.n_bits)
        first = len(self.numbers)
        self.numbers = np.concatenate([self.numbers, more])
        self.alive = np.concatenate([self.alive, np.ones(len(more), bool)])
        self._stale = True
        return np.arange(first, len(self.numbers))

    def remove(self, rows: ArrayLike) -> None:
        """Find these rows no more; the numbers of the others stay."""
        self.alive[np.asarray(rows, np.int64)] = False
        self._stale = True

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one ``.npz`` file, whole or not at all."""
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, numbers=self.numbers, alive=self.alive, n_bits=self.n_bits)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote."""
        try:
            with np.load(Path(path), allow_pickle=False) as found:
                n_bits = int(found["n_bits"])
                self = cls(np.empty((0, -(-n_bits // 8)), np.uint8), n_bits)
                self.numbers, self.alive = found["numbers"], found["alive"]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(f"{path}: no saved codes ({error}); save them again") from None
        return self

    def _fresh(self) -> None:
        if self._stale:
            rows = np.flatnonzero(self.alive)
            self._build(self.numbers[rows], rows)
            self._stale = False

    def _build(self, numbers: NDArray[np.uint32], rows: Ints) -> None:
        raise NotImplementedError

    def _asked(self, query: ArrayLike) -> list[np.uint32]:
        self._fresh()
        return list(as_numbers(checked(query, self.n_bits), self.n_bits))


class Bucket(_Numbers):
    """Codes of up to 16 bits in one table.

    Parameters
    ----------
    codes : array_like
        Packed (N, ceil(n_bits / 8)).
    n_bits : int
        1 to 16.

    Examples
    --------
    >>> store = Bucket(np.array([[7], [1], [7]], np.uint8), n_bits=3)
    >>> hits = store.search(np.array([[3]], np.uint8), k=3)
    >>> hits.rows.tolist(), hits.distances.tolist()
    ([[0, 1, 2]], [[1, 1, 1]])
    """

    most_bits = TABLE_BITS

    def search(self, query: ArrayLike, k: int) -> Hits:
        """Return the k nearest of every query (Q, B), fewer where there are fewer."""
        positive(k)
        return Hits.stack([self._nearest(asked, k) for asked in self._asked(query)])

    def range(self, query: ArrayLike, radius: int) -> list[tuple[Ints, Ints]]:
        """Return the rows at most `radius` bits from each query, nearest first; maybe none."""
        answers = []
        for asked in self._asked(query):
            found = [
                np.sort(self._table.members(asked ^ masks))
                for masks in _masks(self.n_bits)[: radius + 1]
            ]
            away = np.repeat(np.arange(len(found)), list(map(len, found)))
            answers.append((np.concatenate(found), away))
        return answers

    def _build(self, numbers: NDArray[np.uint32], rows: Ints) -> None:
        self._table = Table(numbers, self.n_bits, rows)

    def _nearest(self, asked: np.uint32, k: int) -> tuple[Ints, Ints]:
        rows: list[Ints] = []
        away: list[int] = []
        left = min(k, len(self._table.rows))
        for distance, masks in enumerate(_masks(self.n_bits)):
            if not left:
                break
            # the rows of one code ascend, so no more than `left` of each are of use
            found = self._table.members(asked ^ masks, left)
            if len(masks) > 1:
                found = np.sort(found)
            rows.append(found[:left])
            away.append(distance)
            left -= len(rows[-1])
        counts = list(map(len, rows))
        return np.concatenate([_NONE, *rows]), np.repeat(np.array(away, np.int64), counts)


class MultiProbe(_Numbers):
    """Codes of up to 32 bits in two tables, one for each half.

    Parameters
    ----------
    codes : array_like
        Packed (N, ceil(n_bits / 8)).
    n_bits : int
        2 to 32.

    Examples
    --------
    >>> store = MultiProbe(np.array([[0, 0, 1], [0, 0, 3]], np.uint8), n_bits=24)
    >>> store.search(np.array([[0, 0, 7]], np.uint8), k=1).distances.tolist()
    [[1]]
    """

    most_bits = 2 * TABLE_BITS

    def search(self, query: ArrayLike, k: int) -> Hits:
        """Return the k nearest of every query (Q, B), fewer where there are fewer."""
        positive(k)
        return Hits.stack([self._nearest(asked, k) for asked in self._asked(query)])

    def range(self, query: ArrayLike, radius: int) -> list[tuple[Ints, Ints]]:
        """Return the rows at most `radius` bits from each query, nearest first; maybe none."""
        answers = []
        for asked in self._asked(query):
            rows = _NONE
            for reached, found in self._growing(asked):
                rows = found
                if reached >= radius:
                    break
            away = self._distances(asked, rows)
            inside = away <= radius
            answers.append(best(rows[inside], away[inside], len(rows)))
        return answers

    def _build(self, numbers: NDArray[np.uint32], rows: Ints) -> None:
        self._low = self.n_bits // 2
        high = self.n_bits - self._low
        low = numbers & np.uint32((1 << self._low) - 1)
        self._tables = (
            Table(low, self._low, rows),
            Table(numbers >> np.uint32(self._low), high, rows),
        )
        self._living = rows

    def _distances(self, asked: np.uint32, rows: Ints) -> Ints:
        return np.asarray(np.bitwise_count(self.numbers[rows] ^ asked), np.int64)

    def _nearest(self, asked: np.uint32, k: int) -> tuple[Ints, Ints]:
        wanted = min(k, len(self._living))
        rows, away = _NONE, _NONE
        for reached, found in self._growing(asked):
            rows, away = found, self._distances(asked, found)
            if int((away <= reached).sum()) >= wanted:
                break
        return best(rows, away, k)

    def _growing(self, asked: np.uint32) -> Iterator[tuple[int, Ints]]:
        """Yield a distance and rows among which all up to that distance are, ever more.

        Codes at most r = 2 s + a apart (a is 0 or 1) are at most s apart in the first half, or, for
        a = 1, in the second one too: otherwise their distance would be above r.
        """
        low = asked & np.uint32((1 << self._low) - 1)
        halves = (low, asked >> np.uint32(self._low))
        rows, looked = _NONE, 0
        for reached in range(self.n_bits + 1):
            s, a = divmod(reached, 2)
            table = self._tables[a]
            if s <= table.bits:
                probes = halves[a] ^ _masks(table.bits)[s]
                looked += int(table.count(probes).sum()) + len(probes)
                if looked > _SCAN_FROM * len(self._living):
                    yield self.n_bits, self._living
                    return
                rows = np.union1d(rows, table.members(probes))
            yield reached, rows


_NONE: Ints = np.empty(0, np.int64)

__all__ = ["Bucket", "Codes", "MultiProbe", "Table"]
