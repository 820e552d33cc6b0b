"""What a search gives, and the one way in which equal distances are ordered: by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hits:
    """The nearest rows of some queries.

    Attributes
    ----------
    rows : ndarray
        (Q, k) int64, nearest first, those at one distance by number.
    distances : ndarray
        (Q, k): whole numbers for codes, 1 - cosine for features.
    """

    rows: Ints
    distances: NDArray[Any]

    @classmethod
    def stack(cls, found: Sequence[tuple[Ints, NDArray[Any]]]) -> Hits:
        """Put the answers of several queries together; all of one length."""
        if not found:
            return cls(np.empty((0, 0), np.int64), np.empty((0, 0)))
        return cls(np.stack([rows for rows, _ in found]), np.stack([away for _, away in found]))


def best(rows: Ints, distances: NDArray[Any], k: int) -> tuple[Ints, NDArray[Any]]:
    """Return the k nearest, fewer where there are fewer; equal distances come by row.

    Parameters
    ----------
    rows : ndarray
        (n,) in any order.
    distances : ndarray
        (n,).
    k : int
        How many.

    Examples
    --------
    >>> found = best(np.array([7, 3, 5]), np.array([1, 1, 0]), 2)
    >>> found[0].tolist(), found[1].tolist()
    ([5, 3], [0, 1])
    """
    if k < len(rows):
        limit = np.partition(distances, k - 1)[k - 1]
        inside = distances <= limit
        rows, distances = rows[inside], distances[inside]
    order = np.lexsort((rows, distances))[:k]
    return rows[order], distances[order]
