"""The best inner products of every vector of a set with all others, each product computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.metrics.ties import Counts

Cells = tuple[Counts, Counts]

# rows of a tile: enough for a fast matrix product
_ROWS = 512

# a share of cells above the floors from which on a tile is searched whole
_DENSE = 1 / 16


def best_products(
    features: NDArray[Any], unseen: Callable[[Counts], Cells], length: int
) -> Iterator[tuple[slice, NDArray[Any], Counts]]:
    """Yield the largest inner products of each vector with others, in falling order.

    x_i . x_j is x_j . x_i: a tile of rows is multiplied with the vectors from its own first on
    alone, and what lies to the right of its square also goes, transposed, into the lists of those
    that follow. This halves the work. A list keeps what is above its lowest value so far, which
    soon is a small share.

    Parameters
    ----------
    features : ndarray
        (N, D), of single or double precision.
    unseen : callable
        Gives the cells (row, column) that some rows (q,) do not see; symmetric, with the diagonal.
    length : int
        Of a list, at most N.

    Yields
    ------
    part : slice
        Of the rows.
    value, place : ndarray
        (q, length): the products, minus infinity where there are no more, and with whom.

    Raises
    ------
    ValueError
        A product is not finite.
    """
    count = len(features)
    lists = _Lists(count, length, features.dtype)
    for start in range(0, count, _ROWS):
        part = slice(start, min(start + _ROWS, count))
        tile = features[part] @ features[start:].T
        row, column = unseen(np.arange(part.start, part.stop))
        later = column >= start
        cells = row[later], column[later] - start
        tile[cells] = 0
        if not np.isfinite([tile.min(), tile.max()]).all():
            raise ValueError("scores that are not finite have no order")
        tile[cells] = -np.inf
        lists.absorb(part, start, tile)
        if part.stop < count:
            right = tile[:, part.stop - start :]
            lists.absorb(slice(part.stop, count), start, right, transposed=True)
        yield part, lists.value[part], lists.place[part].astype(np.int64)


class _Lists:
    """Running lists of the largest values."""

    def __init__(self, count: int, length: int, kind: np.dtype[Any]) -> None:
        self.value = np.full((count, length), -np.inf, kind)
        self.place = np.zeros((count, length), np.int32)

    def absorb(
        self, lists: slice, first: int, block: NDArray[Any], transposed: bool = False
    ) -> None:
        """Take in a block: a row for each of the lists, or a column where it is `transposed`.

        Its other side is numbered from `first` on.
        """
        floor = self.value[lists, -1]
        above = block > (floor if transposed else floor[:, None])
        cells = np.flatnonzero(above)
        if len(cells) > _DENSE * above.size:
            found = largest(block.T if transposed else block, self.value.shape[1])
            self._merge(np.arange(lists.start, lists.stop), found[0], found[1] + first)
            return
        row, column = np.divmod(cells, block.shape[1])
        value = block[row, column]
        mine, other = row, column
        if transposed:
            order = np.argsort(column, kind="stable")
            mine, other, value = column[order], row[order], value[order]
        count = np.bincount(mine, minlength=1)
        touched = np.flatnonzero(count)
        if not touched.size:
            return
        line = (np.cumsum(count > 0) - 1)[mine]
        slot = np.arange(len(mine)) - (np.cumsum(count) - count)[mine]
        shape = len(touched), int(count.max())
        values, places = np.full(shape, -np.inf, block.dtype), np.zeros(shape, np.int64)
        values[line, slot], places[line, slot] = value, other + first
        self._merge(touched + lists.start, values, places)

    def _merge(self, lists: Counts, value: NDArray[Any], place: Counts) -> None:
        values = np.concatenate([self.value[lists], value], axis=1)
        places = np.concatenate([self.place[lists], place], axis=1)
        self.value[lists], chosen = largest(values, self.value.shape[1])
        self.place[lists] = np.take_along_axis(places, chosen, 1)


def largest(values: NDArray[Any], length: int) -> tuple[NDArray[Any], Counts]:
    """Return the largest values of each row (q, N), in falling order, and where they are.

    Examples
    --------
    >>> value, place = largest(np.array([[1.0, 3.0, 2.0]]), 2)
    >>> value.tolist(), place.tolist()
    ([[3.0, 2.0]], [[1, 2]])
    """
    import torch

    whole = torch.from_numpy(np.ascontiguousarray(values))
    found = torch.topk(whole, min(length, values.shape[1]), dim=1)
    return found.values.numpy(), found.indices.numpy()
