"""Re-identification: queries search a gallery, and what their own camera saw does not count.

Equal scores count by expected value over all orders in which they may stand
(:mod:`handful.metrics.ties`), so no figure depends on how files are named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.metrics.accuracy import wilson_interval
from handful.metrics.ties import (
    Counts,
    Floats,
    chance_within,
    count_above,
    precision_sums,
    scratch_of,
)

Rows: TypeAlias = Callable[[NDArray[np.int64]], NDArray[Any]]
"""The scores (q, G) of some queries, by number, against the gallery; larger is more alike."""

# scores of one tile: they and the masks over them stay in the cache
_TILE = 1 << 20

_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")

# right answers of a query from which on sorting its row is cheaper than comparing with each
_MANY = 64


@dataclass(frozen=True, eq=False)
class Reidentification:
    """What every query found.

    Attributes
    ----------
    query : ndarray
        (n,) int64: the queries that count, those with a right answer in the gallery.
    ks : tuple of int
        The lengths of a result list.
    cmc : ndarray
        (n, len(ks)) in [0, 1]: the chance that one of the first k is right.
    average_precision : ndarray
        (n,) in [0, 1]: the mean of the precisions at the right answers.
    trapezoid : ndarray
        (n,) in [0, 1]: average precision by trapezoids, as Market-1501's own code has it.
    """

    query: NDArray[np.int64]
    ks: tuple[int, ...]
    cmc: Floats
    average_precision: Floats
    trapezoid: Floats

    def cmc_at(self, k: int) -> float:
        """Return the cumulative matching characteristic at rank `k`, the mean over queries."""
        return float(self.cmc[:, self.ks.index(k)].mean())

    @property
    def map(self) -> float:
        """The mean average precision."""
        return float(self.average_precision.mean())

    def interval_at(self, k: int, level: float = 0.95) -> tuple[float, float]:
        """Return Wilson's interval of CMC at `k`, its queries taken as independent.

        Where ties make the number of right answers no whole one, it is rounded.
        """
        return wilson_interval(round(self.cmc_at(k) * len(self.query)), len(self.query), level)


def reidentify(
    similarity: ArrayLike | Rows,
    query_identity: ArrayLike,
    gallery_identity: ArrayLike,
    query_camera: ArrayLike | None = None,
    gallery_camera: ArrayLike | None = None,
    ks: Sequence[int] = (1, 5, 10),
    junk: object = -1,
    same_image: ArrayLike | None = None,
) -> Reidentification:
    r"""Let every query search the gallery, and measure what it finds.

    Images of the query's identity by the query's camera are taken out of its results, and so is
    junk; distractors stay in. CMC at k counts a query where one of the first k results is right.
    Average precision, with R the number of right answers, is

    .. math:: \frac{1}{R} \sum_{i} P(i) \, rel(i)

    with P(i) the precision of the first i results, and rel(i) whether result i is right.

    Parameters
    ----------
    similarity : array_like or callable
        Scores (Q, G), row i those of query i; or, to hold a few rows at a time, a function that
        gives the rows of the queries of some numbers. Larger is more alike.
    query_identity, gallery_identity : array_like
        (Q,) and (G,): numbers or strings. A distractor is of an identity that no query has.
    query_camera, gallery_camera : array_like, optional
        (Q,) and (G,); both or neither. Without them nothing is taken out but junk.
    ks : sequence of int
        The lengths of a result list, each at least 1.
    junk : object
        The identity of gallery images that neither help nor harm.
    same_image : array_like, optional
        (Q,) integers: the gallery image that is the query itself, and is taken out; -1 for none.

    Returns
    -------
    Reidentification
        A query without a right answer does not count.

    Raises
    ------
    ValueError
        Shapes that do not fit, scores that are not finite, a `ks` below 1, or no query that has
        a right answer.

    References
    ----------
    L. Zheng et al., "Scalable person re-identification: a benchmark", ICCV 2015, section 5.1
    (CMC, mAP, junk and distractors).

    Examples
    --------
    >>> scores = np.array([[0.9, 0.8, 0.7, 0.6]])
    >>> found = reidentify(scores, [7], [7, 3, 7, -1], [1], [1, 1, 2, 2], ks=[1, 2])
    >>> found.cmc_at(1), found.cmc_at(2), found.map
    (0.0, 1.0, 0.5)
    """
    if any(k < 1 for k in ks):
        raise ValueError(f"ks {list(ks)}: lists of at least 1")
    identities = np.asarray(query_identity), np.asarray(gallery_identity)
    relevance = _Relevance.of(*identities, query_camera, gallery_camera, junk, same_image)
    shape = len(relevance.own), len(relevance.camera)
    rows = _rows(similarity, shape)
    query = np.flatnonzero(relevance.right_count)
    if not query.size:
        raise ValueError("no query has a right answer in the gallery: nothing can be found")
    cmc = np.empty((len(query), len(ks)))
    steps, trapezoid = np.empty(len(query)), np.empty(len(query))
    # queries with many right answers first: those of one tile have about as many
    order = np.argsort(-relevance.right_count[query], kind="stable")
    step = max(1, _TILE // shape[1])
    for start in range(0, len(order), step):
        part = order[start : start + step]
        scores = _checked(rows(query[part]), (len(part), shape[1]))
        cmc[part], steps[part], trapezoid[part] = _measured(
            scores, query[part], relevance, np.asarray(ks)
        )
    return Reidentification(query, tuple(ks), cmc, steps, trapezoid)


@dataclass(frozen=True, eq=False)
class _Relevance:
    """Who is right for whom, and what is taken out of whose results.

    Attributes
    ----------
    order : ndarray
        The gallery sorted by identity, without junk.
    first, last : ndarray
        (Q,) where the identity of each query begins and ends in `order`.
    query_camera, camera : ndarray
        (Q,) and (G,).
    own : ndarray
        (Q,) the gallery image that is the query itself, or -1.
    junk : ndarray
        The gallery images that are junk.
    """

    order: Counts
    first: Counts
    last: Counts
    query_camera: NDArray[Any]
    camera: NDArray[Any]
    own: Counts
    junk: Counts

    @classmethod
    def of(
        cls,
        wanted: NDArray[Any],
        offered: NDArray[Any],
        query_camera: ArrayLike | None,
        camera: ArrayLike | None,
        junk: object,
        same_image: ArrayLike | None,
    ) -> _Relevance:
        if wanted.ndim != 1 or offered.ndim != 1 or not offered.size:
            raise ValueError(f"identities {wanted.shape} and {offered.shape}: one row each")
        if (query_camera is None) != (camera is None):
            raise ValueError("cameras of the queries and of the gallery: both or neither")
        # where nobody has a camera, no two have the same
        saw = np.asarray(np.zeros(wanted.shape) if query_camera is None else query_camera)
        seen = np.asarray(np.ones(offered.shape) if camera is None else camera)
        own = np.full(len(wanted), -1) if same_image is None else np.asarray(same_image, np.int64)
        if (saw.shape, seen.shape, own.shape) != (wanted.shape, offered.shape, wanted.shape):
            raise ValueError(f"cameras {saw.shape}, {seen.shape}, same_image {own.shape}: one each")
        if own.size and not -1 <= own.min() <= own.max() < len(offered):
            raise ValueError(f"same_image: beyond the gallery of {len(offered)}")
        unwanted = offered == junk
        number = np.unique(np.concatenate([wanted, offered]), return_inverse=True)[1]
        ours, theirs = number[: len(wanted)], number[len(wanted) :]
        order = np.argsort(theirs, kind="stable")
        order = order[~unwanted[order]]
        first, last = (np.searchsorted(theirs[order], ours, side) for side in _SIDES)
        return cls(order, first, last, saw, seen, own, np.flatnonzero(unwanted))

    def of_identity(self, query: Counts) -> tuple[Counts, NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the gallery images of each query's identity, and which of them are right.

        Returns
        -------
        index, real, right : ndarray
            (q, W): gallery numbers; whether there are so many; whether they are right answers.
        """
        place = self.first[query, None] + np.arange((self.last - self.first)[query].max(initial=0))
        real = place < self.last[query, None]
        index = self.order[np.where(real, place, 0)]
        other = self.camera[index] != self.query_camera[query, None]
        return index, real, real & other & (index != self.own[query, None])

    @cached_property
    def right_count(self) -> Counts:
        """The number of right answers of each query, (Q,)."""
        numbers = np.arange(len(self.own))
        parts = [self.of_identity(numbers[i : i + 256])[2].sum(1) for i in numbers[::256]]
        return np.concatenate([*parts, numbers[:0]])


def _rows(similarity: ArrayLike | Rows, shape: tuple[int, int]) -> Rows:
    if callable(similarity):
        return similarity
    values = np.asarray(similarity)
    if values.shape != shape:
        raise ValueError(f"similarity {values.shape}: one score for each of {shape} pairs")
    return lambda query: values[query]


def _checked(given: ArrayLike, shape: tuple[int, int]) -> NDArray[Any]:
    """Return a copy that may be written over, and that has room for minus infinity."""
    values = np.asarray(given)
    if values.shape != shape:
        raise ValueError(f"scores {values.shape}: {shape[0]} queries by {shape[1]} of the gallery")
    if not np.isfinite(values).all():
        raise ValueError("scores that are not finite have no order")
    return values.astype(np.result_type(values, np.float32))


def _measured(
    scores: NDArray[Any], query: Counts, relevance: _Relevance, ks: Counts
) -> tuple[Floats, Floats, Floats]:
    """Return CMC (q, len(ks)) and average precision (q,) by steps and by trapezoids."""
    index, real, right = relevance.of_identity(query)
    row = np.broadcast_to(np.arange(len(query))[:, None], index.shape)
    value = np.sort(np.where(right, -scores[row, index], np.inf), axis=1)
    count = right.sum(1)
    value = -value[:, : count.max()]
    scores[row[real & ~right], index[real & ~right]] = -np.inf
    scores[:, relevance.junk] = -np.inf
    itself = np.flatnonzero(relevance.own[query] >= 0)
    scores[itself, relevance.own[query[itself]]] = -np.inf
    # a group of equal scores is named by the first of its right answers
    place = np.arange(value.shape[1])
    begins = place < count[:, None]
    begins[:, 1:] &= value[:, 1:] != value[:, :-1]
    following = np.where(begins, place, count[:, None])[:, 1:]
    ends = np.column_stack([following, count])
    ends = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    hits = ends - place
    ahead, level = _places(scores, value, count)
    of_query, found = np.nonzero(begins)
    sums = precision_sums(ahead[begins], found, level[begins], hits[begins])
    steps, trapezoid = (np.bincount(of_query, total, len(query)) / count for total in sums)
    return chance_within(ahead[:, :1], level[:, :1], hits[:, :1], ks), steps, trapezoid


def _places(scores: NDArray[Any], value: NDArray[Any], count: Counts) -> tuple[Counts, Counts]:
    """Return how many scores of a row are above each of its values, and how many are equal.

    `count` says how many values a row has, and falls from row to row.
    """
    above, level = np.zeros(value.shape, np.int64), np.zeros(value.shape, np.int64)
    many = int((count >= _MANY).sum())
    for i in range(many):
        ascending = np.sort(scores[i])
        low, high = (np.searchsorted(ascending, value[i], side) for side in _SIDES)
        above[i], level[i] = len(ascending) - high, high - low
    scratch = scratch_of(len(scores) - many, scores.shape[1])
    for j in range(int(count[many:].max(initial=0))):
        part = slice(many, int((count > j).sum()))
        above[part, j], level[part, j] = count_above(scores[part], value[part, j], scratch)
    return above, level
