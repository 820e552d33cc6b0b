"""Long codes: all of them compared, on all cores; or, beyond that, those of near lists (IVF).

Both stand on faiss: M. Douze et al., "The Faiss library", 2024.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.data.pictures import cores
from handful.errors import InputError
from handful.files import replacing
from handful.index.codes import Codes, as_words, checked, positive
from handful.index.hits import Hits, Ints, best

# rows compared at once in a range search: the words stay in the cache
_BLOCK = 1 << 15

# below this a shard takes longer to hand out than to search
_LEAST_SHARD = 1 << 17


class Exhaustive:
    """Codes of any length, each compared with every query; exact, equal distances by row.

    Rows are cut into as many shards as there are cores, so that a single query keeps all busy.

    Parameters
    ----------
    codes : array_like
        Packed (N, ceil(n_bits / 8)).
    n_bits : int
        The length of a code.
    shards : int, optional
        By default one for each core.

    Examples
    --------
    >>> store = Exhaustive(np.eye(9, dtype=np.uint8), n_bits=72)
    >>> hits = store.search(np.eye(9, dtype=np.uint8)[4:5], k=2)
    >>> hits.rows.tolist(), hits.distances.tolist()
    ([[4, 0]], [[0, 2]])
    """

    def __init__(self, codes: ArrayLike, n_bits: int, shards: int | None = None) -> None:
        self.n_bits = n_bits
        self.shards = shards or cores()
        # padded to words of 64 bits, which faiss compares several times as fast as odd lengths
        self._words = as_words(checked(codes, n_bits))
        self._rows = np.arange(len(self._words))
        self._next = len(self._words)
        self._pool: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, codes: ArrayLike) -> Ints:
        """Add packed codes (n, B); return their rows."""
        more = as_words(checked(codes, self.n_bits))
        rows = np.arange(self._next, self._next + len(more))
        self._words = np.concatenate([self._words, more])
        self._rows = np.concatenate([self._rows, rows])
        self._next += len(more)
        return rows

    def remove(self, rows: ArrayLike) -> None:
        """Find these rows no more; the numbers of the others stay."""
        kept = ~np.isin(self._rows, np.asarray(rows, np.int64))
        if not kept.all():
            self._words, self._rows = self._words[kept], self._rows[kept]

    def search(self, query: ArrayLike, k: int) -> Hits:
        """Return the k nearest of every query (Q, B), fewer where there are fewer."""
        import faiss

        asked = as_words(checked(query, self.n_bits)).view(np.uint8)
        table = self._words.view(np.uint8)
        k = min(positive(k), len(table))
        if not k:
            return Hits(np.empty((len(asked), 0), np.int64), np.empty((len(asked), 0), np.int64))

        def nearest(part: slice) -> tuple[NDArray[Any], Ints]:
            near = table[part]
            away, places = faiss.knn_hamming(asked, near, min(k, len(near)))
            return away, places + part.start

        first, *others = self._parts(len(table))
        waiting = [self._threads().submit(nearest, part) for part in others]
        # this thread takes a shard too: it has nothing else to do
        found = [nearest(first), *(part.result() for part in waiting)]
        away = np.concatenate([part[0] for part in found], axis=1).astype(np.int64)
        rows = self._rows[np.concatenate([part[1] for part in found], axis=1)]
        return Hits.stack([best(*pair, k) for pair in zip(rows, away, strict=True)])

    def range(self, query: ArrayLike, radius: int) -> list[tuple[Ints, Ints]]:
        """Return the rows at most `radius` bits from each query, nearest first; maybe none."""
        answers = []
        for asked in as_words(checked(query, self.n_bits)):
            rows, away = [_NONE], [_NONE]
            for start in range(0, len(self._words), _BLOCK):
                near = np.bitwise_count(self._words[start : start + _BLOCK] ^ asked)
                distance = near.sum(1, dtype=np.int64)
                inside = np.flatnonzero(distance <= radius)
                rows.append(self._rows[start + inside])
                away.append(distance[inside])
            found = np.concatenate(rows)
            answers.append(best(found, np.concatenate(away), len(found)))
        return answers

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one ``.npz`` file, whole or not at all."""
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, words=self._words, rows=self._rows, next=self._next, n_bits=self.n_bits)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote."""
        try:
            with np.load(Path(path), allow_pickle=False) as found:
                n_bits = int(found["n_bits"])
                self = cls(np.empty((0, -(-n_bits // 8)), np.uint8), n_bits)
                self._words, self._rows = found["words"], found["rows"]
                self._next = int(found["next"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(f"{path}: no saved codes ({error}); save them again") from None
        return self

    def _threads(self) -> ThreadPoolExecutor:
        """Return the threads of the other shards; they end with this object."""
        import faiss

        if self._pool is None:
            # each has one thread of faiss
            setting = faiss.omp_set_num_threads
            self._pool = ThreadPoolExecutor(self.shards, "hamming", setting, (1,))
        return self._pool

    def _parts(self, total: int) -> list[slice]:
        count = max(1, min(self.shards, total // _LEAST_SHARD))
        edges = np.linspace(0, total, count + 1).astype(int).tolist()
        return [slice(a, b) for a, b in pairwise(edges)]


class InvertedLists:
    """Codes in lists of like ones (IVF), of which a query looks at the nearest few.

    What it finds is at the distance it says, and equal distances come by row; some that are as near
    may be missing.

    Parameters
    ----------
    codes : array_like
        Packed (N, ceil(n_bits / 8)): the lists are made of these.
    n_bits : int
        A multiple of 8.
    lists : int, optional
        How many; by default about 4 sqrt(N).
    probes : int
        How many of them a query looks at; more where they hold too few.

    Examples
    --------
    >>> codes = np.random.default_rng(0).integers(0, 256, (500, 8), dtype=np.uint8)
    >>> store = InvertedLists(codes, 64, lists=4, probes=4)
    >>> store.search(codes[7:8], k=1).rows.tolist()
    [[7]]
    """

    def __init__(
        self, codes: ArrayLike, n_bits: int, lists: int | None = None, probes: int = 16
    ) -> None:
        import faiss

        table = checked(codes, n_bits)
        if n_bits % 8:
            raise ValueError(f"{n_bits} bits: a multiple of 8")
        if not len(table):
            raise InputError("no codes to make lists of; give some")
        count = min(lists or max(1, round(4 * len(table) ** 0.5)), len(table))
        self.n_bits = n_bits
        self.probes = probes
        quantizer = faiss.IndexBinaryFlat(n_bits)
        self._faiss = faiss.IndexBinaryIVF(quantizer, n_bits, count)
        # faiss asks for more pictures a list than a small collection has; it warns on stderr
        self._faiss.cp.min_points_per_centroid = 1
        self._faiss.train(table)
        self._next = 0
        # faiss keeps a plain pointer to it
        self._quantizer = quantizer
        self.add(table)

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    def add(self, codes: ArrayLike) -> Ints:
        """Add packed codes (n, B); return their rows."""
        table = checked(codes, self.n_bits)
        rows = np.arange(self._next, self._next + len(table))
        self._faiss.add_with_ids(table, rows)
        self._next += len(table)
        return rows

    def remove(self, rows: ArrayLike) -> None:
        """Find these rows no more; the numbers of the others stay."""
        self._faiss.remove_ids(np.asarray(rows, np.int64))

    def search(self, query: ArrayLike, k: int) -> Hits:
        """Return k of the nearest of every query (Q, B), fewer where there are fewer."""
        asked = checked(query, self.n_bits)
        k = min(positive(k), len(self))
        if not k:
            return Hits(np.empty((len(asked), 0), np.int64), np.empty((len(asked), 0), np.int64))
        probes = self.probes
        while True:
            self._faiss.nprobe = min(probes, self._faiss.nlist)
            away, rows = self._faiss.search(asked, k)
            if (rows >= 0).all() or probes >= self._faiss.nlist:
                break
            probes *= 2
        pairs = zip(rows, away.astype(np.int64), strict=True)
        return Hits.stack([best(*pair, k) for pair in pairs])

    def range(self, query: ArrayLike, radius: int) -> list[tuple[Ints, Ints]]:
        """Return rows at most `radius` bits from each query, nearest first; maybe none."""
        asked = checked(query, self.n_bits)
        self._faiss.nprobe = min(self.probes, self._faiss.nlist)
        # faiss gives what is below its radius
        limits, away, rows = self._faiss.range_search(asked, radius + 1)
        answers = []
        for start, end in zip(limits[:-1].tolist(), limits[1:].tolist(), strict=True):
            found = rows[start:end].astype(np.int64), away[start:end].astype(np.int64)
            answers.append(best(*found, end - start))
        return answers

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one file of faiss, whole or not at all."""
        import faiss

        with replacing(path) as part:
            faiss.write_index_binary(self._faiss, str(part))

    @classmethod
    def open(cls, path: str | os.PathLike[str], probes: int = 16) -> Self:
        """Read what `save` wrote."""
        import faiss

        try:
            found = faiss.read_index_binary(os.fspath(path))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: no saved lists ({reason}); save them again") from None
        if not isinstance(found, faiss.IndexBinaryIVF):
            raise InputError(f"{path}: no saved lists; save them again")
        self = cls.__new__(cls)
        self._faiss, self.n_bits, self.probes = found, int(found.d), probes
        filled = [i for i in range(found.nlist) if found.invlists.list_size(i)]
        self._next = 1 + max(int(self._ids(i).max()) for i in filled) if filled else 0
        return self

    def _ids(self, number: int) -> Ints:
        """Return the rows in a list."""
        import faiss

        lists = self._faiss.invlists
        ids: Ints = faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number))
        return ids


_NONE: Ints = np.empty(0, np.int64)

__all__ = ["Codes", "Exhaustive", "InvertedLists"]
