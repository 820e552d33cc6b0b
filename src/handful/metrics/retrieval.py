"""Retrieval where every image queries all others: recall at k and mean average precision at R.

Images with equal scores come in no order of their own. They count by expected value over all
orders in which they may stand, in closed form, so no figure depends on how files are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln

from handful.metrics.accuracy import wilson_interval

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = Callable[[slice], NDArray[Any]]
"""The scores (q, N) of some images against all N; larger is more alike."""

# scores of one tile: the masks and sorted copies of it stay below some 50 MB
_TILE = 1 << 20


@dataclass(frozen=True, eq=False)
class Retrieval:
    """What every query found.

    Attributes
    ----------
    query : ndarray
        (n,) int64: the images that were queries, those with another image of their class.
    ks : tuple of int
        The lengths of a result list.
    recall : ndarray
        (n, len(ks)) in [0, 1]: the chance that one of the first k is of the query's class.
    average_precision : ndarray
        (n,) in [0, 1], at R.
    """

    query: NDArray[np.int64]
    ks: tuple[int, ...]
    recall: Floats
    average_precision: Floats

    def recall_at(self, k: int) -> float:
        """Return recall at `k`, the mean over all queries."""
        return float(self.recall[:, self.ks.index(k)].mean())

    @property
    def map_at_r(self) -> float:
        """The mean average precision at R."""
        return float(self.average_precision.mean())

    def interval_at(self, k: int, level: float = 0.95) -> tuple[float, float]:
        """Return Wilson's interval of recall at `k`, its queries taken as independent.

        Where ties make the number of right answers no whole one, it is rounded.
        """
        return wilson_interval(round(self.recall_at(k) * len(self.query)), len(self.query), level)


def retrieve(
    similarity: ArrayLike | Rows, labels: ArrayLike, ks: Sequence[int] = (1, 2, 4, 8)
) -> Retrieval:
    r"""Let every image query all others, and measure what it finds.

    Recall at k counts a query where one of its first k results is of its class. Average precision
    at R, with R the number of other images of its class, is

    .. math:: \frac{1}{R} \sum_{i=1}^{R} P(i) \, rel(i)

    with P(i) the precision of the first i results, and rel(i) whether result i is of its class.

    Parameters
    ----------
    similarity : array_like or callable
        Scores (N, N), row i those of query i; or, to hold a few rows at a time, a function that
        gives the rows of a slice, such as :func:`inner_products`. Larger is more alike. An
        image's score against itself is not looked at.
    labels : array_like
        The class of each image, (N,): integers or strings.
    ks : sequence of int
        The lengths of a result list, each at least 1.

    Returns
    -------
    Retrieval
        An image that is alone in its class is in the results of others, but is no query.

    Raises
    ------
    ValueError
        Shapes that do not fit, scores that are not finite, a `ks` below 1, or no two images of
        one class.

    References
    ----------
    K. Musgrave, S. Belongie, S.-N. Lim, "A metric learning reality check", ECCV 2020, equation 1
    (average precision at R).
    H. Jégou, M. Douze, C. Schmid, "Product quantization for nearest neighbor search", TPAMI 33,
    2011 (recall at k).

    Examples
    --------
    >>> features = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
    >>> found = retrieve(inner_products(features), ["a", "b", "a", "b"], ks=[1, 2])
    >>> found.recall_at(1), found.recall_at(2), found.map_at_r
    (0.0, 0.5, 0.0)
    """
    number = np.unique(np.asarray(labels), return_inverse=True)[1]
    if number.ndim != 1 or any(k < 1 for k in ks):
        raise ValueError(f"labels {number.shape} and ks {list(ks)}: one row, lists of at least 1")
    mates = np.bincount(number)[number] - 1
    query = np.flatnonzero(mates)
    if not query.size:
        raise ValueError("no two images are of one class: nothing can be found")
    recall, precision = np.empty((len(query), len(ks))), np.empty(len(query))
    for part, scores in _tiles(_rows(similarity, len(number)), query, len(number)):
        same = number[query[part], None] == number
        same[np.arange(len(scores)), query[part]] = False
        recall[part] = _recall(scores, same, np.asarray(ks))
        precision[part] = _average_precision(scores, same, mates[query[part]])
    return Retrieval(query, tuple(ks), recall, precision)


def recall_at_k(
    similarity: ArrayLike | Rows, labels: ArrayLike, ks: Sequence[int] = (1, 2, 4, 8)
) -> dict[int, float]:
    """Return recall at each k; the arguments are those of :func:`retrieve`.

    Examples
    --------
    >>> recall_at_k(np.eye(3), ["a", "a", "b"], ks=[1, 2])[2]  # the other two are tied
    1.0
    """
    found = retrieve(similarity, labels, ks)
    return {k: found.recall_at(k) for k in ks}


def inner_products(features: ArrayLike) -> Rows:
    """Return a function that gives rows of the inner products of features (N, D).

    Examples
    --------
    >>> inner_products(np.eye(3))(slice(0, 1)).tolist()
    [[1.0, 0.0, 0.0]]
    """
    values = np.asarray(features)
    return lambda part: values[part] @ values.T


def _rows(similarity: ArrayLike | Rows, images: int) -> Rows:
    if callable(similarity):
        return similarity
    values = np.asarray(similarity)
    if values.shape != (images, images):
        raise ValueError(f"similarity {values.shape}: a square, a row for each of {images} labels")
    return lambda part: values[part]


def _tiles(
    rows: Rows, query: NDArray[np.int64], images: int
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield which of the queries a tile holds, and its scores, -inf for the query itself."""
    step = max(1, _TILE // images)
    for start in range(0, images, step):
        part = slice(*np.searchsorted(query, [start, start + step]))
        if part.start == part.stop:
            continue
        given = np.asarray(rows(slice(start, min(start + step, images))))
        if given.shape != (min(step, images - start), images):
            raise ValueError(f"scores {given.shape}: a row a query, one for each of {images}")
        own = np.arange(part.stop - part.start), query[part]
        # half precision and whole numbers have no room for what follows; indexing copies
        scores = given[query[part] - start].astype(np.result_type(given, np.float32), copy=False)
        scores[own] = 0
        if not np.isfinite(scores).all():
            raise ValueError("scores that are not finite have no order")
        scores[own] = -np.inf
        yield part, scores


def _recall(scores: NDArray[Any], same: NDArray[np.bool_], ks: NDArray[np.int64]) -> Floats:
    """Return the chance that the first k hold an image of the class, (q, len(ks)).

    Only the best score of the query's class matters: with `ahead` images above it, and m of the t
    images at it of the class, the first k leave j = k - ahead places for the t, and none of the m
    is among them with chance C(t - m, j) / C(t, j).
    """
    best = np.where(same, scores, -np.inf).max(1, keepdims=True)
    level = scores == best
    ahead = (scores > best).sum(1)[:, None]
    tied, hits = level.sum(1)[:, None], (level & same).sum(1)[:, None]
    places = np.clip(ks - ahead, 0, tied)
    misses = tied - hits
    room = np.maximum(misses - places, 0)
    log_chance = _log_choose(room, misses, places) - _log_choose(tied - places, tied, places)
    return np.where(places > misses, 1.0, np.where(places == 0, 0.0, -np.expm1(log_chance)))


def _log_choose(
    rest: NDArray[np.int64], total: NDArray[np.int64], places: NDArray[np.int64]
) -> Floats:
    # 1 / C(n, j) = (n + 1) B(n - j + 1, j + 1)
    value: Floats = -betaln(rest + 1, places + 1) - np.log1p(total)
    return value


def _average_precision(
    scores: NDArray[Any], same: NDArray[np.bool_], mates: NDArray[np.int64]
) -> Floats:
    """Return the expected average precision at R of each query, (q,).

    Place j of a group of t equal scores, m of them of the class, behind `before` images with
    `found` of the class among them: it is of the class with chance m / t, and then the precision
    there is (found + 1 + (j - 1) (m - 1) / (t - 1)) / (before + j).
    """
    most = int(mates.max())
    order = np.argpartition(-scores, most - 1, axis=1)[:, :most]
    order = np.take_along_axis(order, (-np.take_along_axis(scores, order, 1)).argsort(1), 1)
    value = np.take_along_axis(scores, order, 1)
    right = np.take_along_axis(same, order, 1)
    place = np.arange(most)
    starts = np.diff(value, axis=1, prepend=np.inf) != 0
    before = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    ends = np.column_stack([starts[:, 1:], np.ones(len(value), bool)])
    after = np.minimum.accumulate(np.where(ends, place + 1, most)[:, ::-1], axis=1)[:, ::-1]
    counted = np.column_stack([np.zeros(len(value), np.int64), right.cumsum(1)])
    found = np.take_along_axis(counted, before, 1)
    tied = after - before
    hits = np.take_along_axis(counted, after, 1) - found
    # the last group may reach beyond the images that were sorted: count it in the whole row
    last = scores == value[:, -1:]
    in_last = value == value[:, -1:]
    tied = np.where(in_last, last.sum(1)[:, None], tied)
    hits = np.where(in_last, (last & same).sum(1)[:, None], hits)
    others = (place - before) * (hits - 1) / np.maximum(tied - 1, 1)
    gain = hits / tied * (found + 1 + others) / (place + 1)
    gain[place >= mates[:, None]] = 0
    return np.asarray(gain.sum(1) / mates)
