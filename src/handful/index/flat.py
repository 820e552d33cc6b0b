"""Exact search by cosine over features in half precision, in bounded memory.

Blocks are brought to single precision and multiplied with the queries; whatever can be among the
best, the rounding of both considered, is then computed again in double precision. So the answer is
that of a computation in double precision throughout.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from handful.errors import InputError
from handful.files import replacing
from handful.index.hits import Floats, Hits, Ints, best

BLOCK = 8192
"""Rows at a time: 16 MB in single precision at 512 dimensions."""

DIGITS = 6
"""Decimals to which a distance is told: half precision tells no more, so that pictures with the
same features are at the same distance."""


class Flat:
    """Unit vectors in half precision, and all of them compared with every query.

    The distance is 1 - cosine, in [0, 2], rounded to a millionth. Equal distances come by row.

    Parameters
    ----------
    parts : sequence of ndarray
        (n, D) float16 each, memory maps too; of unit length up to rounding.
    alive : ndarray, optional
        Which rows are searched, (N,) bool.

    Examples
    --------
    >>> flat = Flat([np.eye(3, dtype=np.float16)])
    >>> hits = flat.search(np.array([[0.0, 1.0, 0.0]]), k=2)
    >>> hits.rows.tolist(), hits.distances.tolist()
    ([[1, 0]], [[0.0, 1.0]])
    """

    def __init__(
        self, parts: Sequence[NDArray[np.float16]], alive: NDArray[np.bool_] | None = None
    ) -> None:
        self.parts = list(parts)
        total = sum(map(len, self.parts))
        self.alive = np.ones(total, bool) if alive is None else alive.copy()
        if self.alive.shape != (total,):
            raise ValueError(f"alive {self.alive.shape} for {total} rows")

    def __len__(self) -> int:
        return int(self.alive.sum())

    def add(self, features: ArrayLike) -> Ints:
        """Add vectors (n, D), brought to unit length; return their rows."""
        rows = np.asarray(features, np.float32)
        if rows.ndim != 2 or (self.parts and rows.shape[1] != self.parts[0].shape[1]):
            raise ValueError(f"features {rows.shape}: a row of the store's width each")
        length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        first = len(self.alive)
        self.parts.append(np.asarray(rows / length, np.float16))
        self.alive = np.concatenate([self.alive, np.ones(len(rows), bool)])
        return np.arange(first, len(self.alive))

    def remove(self, rows: ArrayLike) -> None:
        """Search these rows no more; the numbers of the others stay."""
        self.alive[np.asarray(rows, np.int64)] = False

    def search(self, query: ArrayLike, k: int) -> Hits:
        """Return the k nearest of every query, fewer where there are fewer.

        Parameters
        ----------
        query : array_like
            (Q, D), of any length but zero.
        k : int
            At least 1.
        """
        asked = _unit(query)
        if k < 1:
            raise InputError(f"k is {k}; ask for 1 match or more")
        found = [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in asked]
        for rows, near in self._cosines(asked):
            for place, (kept, values) in enumerate(found):
                # what is below the k-th by more than the rounding can never come in
                merged = np.concatenate([values, near[:, place]])
                names = np.concatenate([kept, rows])
                if len(merged) > k:
                    limit = np.partition(merged, len(merged) - k)[len(merged) - k]
                    inside = merged >= limit - 2 * self._slack
                    merged, names = merged[inside], names[inside]
                found[place] = names, merged
        pairs = [self._exact(q, rows) for q, (rows, _) in zip(asked, found, strict=True)]
        return Hits.stack([best(rows, away, k) for rows, away in pairs])

    def range(self, query: ArrayLike, radius: float) -> list[tuple[Ints, Floats]]:
        """Return all rows at most `radius` from each query, nearest first, with distances."""
        asked = _unit(query)
        near: list[list[Ints]] = [[] for _ in asked]
        for rows, cosines in self._cosines(asked):
            for place, values in enumerate(cosines.T):
                near[place].append(rows[values >= 1 - radius - self._slack])
        answers = []
        for q, found in zip(asked, near, strict=True):
            names, away = self._exact(q, np.concatenate([np.empty(0, np.int64), *found]))
            inside = away <= radius
            answers.append(best(names[inside], away[inside], len(names)))
        return answers

    def score(self, function: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
        """Give every row a score: (N,) float32, minus infinity where it is not searched.

        Parameters
        ----------
        function : callable
            Maps features (n, D) float32 to scores (n,).
        """
        found = np.full(len(self.alive), -np.inf, np.float32)
        for start, block in self._blocks():
            inside = slice(start, start + len(block))
            found[inside] = function(block).numpy()
        found[~self.alive] = -np.inf
        return found

    def rank(self, query: ArrayLike, rows: ArrayLike) -> Floats:
        """Return the distance of one query (D,) to some rows, (n,)."""
        return self._exact(_unit(np.asarray(query)[None])[0], np.asarray(rows, np.int64))[1]

    def take(self, rows: ArrayLike) -> NDArray[np.float32]:
        """Return the features of some rows, (n, D) float32."""
        wanted = np.asarray(rows, np.int64)
        starts = np.cumsum([0, *map(len, self.parts)])
        places = np.searchsorted(starts, wanted, side="right") - 1
        found = np.empty((len(wanted), self.parts[0].shape[1] if self.parts else 0), np.float32)
        for place in np.unique(places).tolist():
            inside = places == place
            found[inside] = self.parts[place][wanted[inside] - starts[place]]
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one ``.npz`` file, whole or not at all; removed rows keep their numbers."""
        width = self.parts[0].shape[1] if self.parts else 0
        rows = np.concatenate([np.empty((0, width), np.float16), *self.parts])
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, features=rows, alive=self.alive)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote."""
        try:
            with np.load(Path(path), allow_pickle=False) as found:
                return cls([found["features"]], found["alive"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(f"{path}: no saved features ({error}); save them again") from None

    @property
    def _slack(self) -> float:
        """How far a cosine in single precision may be from that of the rounded vectors.

        2^-11 by the length of a vector in half precision, and D 2^-23 by the sum.
        """
        width = self.parts[0].shape[1] if self.parts else 0
        return 2.0**-10 + width * 2.0**-23

    def _blocks(self) -> Iterator[tuple[int, Tensor]]:
        start = 0
        for part in self.parts:
            for first in range(0, len(part), BLOCK):
                rows = part[first : first + BLOCK]
                yield start + first, torch.from_numpy(np.asarray(rows)).float()
            start += len(part)

    def _cosines(self, asked: Floats) -> Iterator[tuple[Ints, NDArray[np.float32]]]:
        """Yield the rows that are searched, and about their cosines with the queries, (n, Q)."""
        query = torch.from_numpy(asked.T).float()
        for start, block in self._blocks():
            alive = self.alive[start : start + len(block)]
            near = (block @ query).numpy()
            if alive.all():
                yield np.arange(start, start + len(block)), near
            else:
                inside = np.flatnonzero(alive)
                yield start + inside, near[inside]

    def _exact(self, query: Floats, rows: Ints) -> tuple[Ints, Floats]:
        """Return the rows and their distances to a unit query (D,), in double precision."""
        away = np.empty(len(rows))
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            vectors = self.take(rows[part]).astype(np.float64)
            length = np.sqrt((vectors * vectors).sum(1))
            away[part] = 1 - (vectors * query).sum(1) / np.maximum(length, 1e-12)
        return rows, np.abs(away.round(DIGITS))


def _unit(query: ArrayLike) -> Floats:
    rows = np.asarray(query, np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise ValueError(f"queries {rows.shape}: rows of finite numbers")
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
