"""Retrieval where every image queries all others: recall at k and mean average precision at R.

Images with equal scores come in no order of their own. They count by expected value over all
orders in which they may stand, in closed form, so no figure depends on how files are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.metrics.accuracy import wilson_interval
from handful.metrics.best_lists import best_products, largest
from handful.metrics.ties import Counts, Floats, chance_within, count_above

Rows: TypeAlias = Callable[[slice], NDArray[Any]]
"""The scores (q, N) of some images against all N; larger is more alike."""

# scores of one tile: enough rows for a fast matrix product, some 100 MB at four bytes and a copy
_TILE = 3 << 22

# a longer list of best scores costs more than counting the row once more
_LIST = 64

# entries of all lists at once: 12 bytes each
_LISTED = 1 << 25


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
    similarity: ArrayLike | Rows,
    labels: ArrayLike,
    ks: Sequence[int] = (1, 2, 4, 8),
    groups: ArrayLike | None = None,
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
    groups : array_like, optional
        (N,) what each image must not be parted from, such as its camera's burst: a query does not
        see the images of its own group at all.

    Returns
    -------
    Retrieval
        An image that is alone in its class (but for its group) is in the results of others, but
        is no query.

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
    group = np.unique(np.arange(len(number)) if groups is None else groups, return_inverse=True)[1]
    if group.shape != number.shape:
        raise ValueError(f"groups {group.shape}: one for each of {len(number)} images")
    both = np.unique(number * len(number) + group, return_inverse=True)[1]
    mates = np.bincount(number)[number] - np.bincount(both)[both]
    query = np.flatnonzero(mates)
    if not query.size:
        raise ValueError("no two images are of one class: nothing can be found")
    found = Retrieval(query, tuple(ks), np.empty((len(query), len(ks))), np.empty(len(query)))
    length = min(max(int(mates.max()), min(max(ks), _LIST)), len(number) - 1)
    rows, members = _rows(similarity, len(number)), _members(group)
    rest = np.arange(len(query))
    if isinstance(rows, _InnerProducts) and length * len(number) <= _LISTED:
        lists = best_products(rows.features, members, length + 1)
        rest = _from_lists(lists, found, number, mates)
    for part, scores in _tiles(rows, query, rest, members, len(number)):
        asking = query[part]
        best = _best(*largest(scores, length + 1), asking, number)
        found.recall[part] = _recall(scores, asking, number, best, np.asarray(ks))
        precision = _average_precision(scores, asking, number, best, mates[asking])
        found.average_precision[part] = precision
    return found


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
    return _InnerProducts(np.asarray(features))


@dataclass(frozen=True, eq=False)
class _InnerProducts:
    """Rows of products, known to be symmetric."""

    features: NDArray[Any]

    def __call__(self, part: slice | Counts) -> NDArray[Any]:
        return np.asarray(self.features[part] @ self.features.T)


def _rows(similarity: ArrayLike | Rows, images: int) -> Rows:
    if callable(similarity):
        return similarity
    values = np.asarray(similarity)
    if values.shape != (images, images):
        raise ValueError(f"similarity {values.shape}: a square, a row for each of {images} labels")
    return lambda part: values[part]


def _tiles(
    rows: Rows,
    query: Counts,
    rest: Counts,
    members: Callable[[Counts], tuple[Counts, Counts]],
    images: int,
) -> Iterator[tuple[Counts, NDArray[Any]]]:
    """Yield some of the queries that are left, and their scores, -inf for what they do not see."""
    step = max(1, _TILE // images)
    for start in range(0, images, step):
        part = rest[slice(*np.searchsorted(query[rest], [start, start + step]))]
        if not part.size:
            continue
        asking = query[part]
        if isinstance(rows, _InnerProducts):
            given = rows(asking)
        else:
            given = np.asarray(rows(slice(start, min(start + step, images))))
            if given.shape != (min(step, images - start), images):
                raise ValueError(f"scores {given.shape}: a row a query, one for each of {images}")
            given = given[asking - start]
        # half precision and whole numbers have no room for what follows
        scores = given.astype(np.result_type(given, np.float32), copy=False)
        unseen = members(asking)
        scores[unseen] = 0
        if not np.isfinite([scores.min(), scores.max()]).all():  # numbers alone: nan spreads
            raise ValueError("scores that are not finite have no order")
        scores[unseen] = -np.inf
        yield part, scores


def _from_lists(
    lists: Iterable[tuple[slice, NDArray[Any], Counts]],
    found: Retrieval,
    number: Counts,
    mates: Counts,
) -> Counts:
    """Measure by lists of the best scores; return which queries need their whole row."""
    rest = []
    for images, value, place in lists:
        part = np.arange(*np.searchsorted(found.query, [images.start, images.stop]))
        asking = found.query[part]
        best = _best(value[asking - images.start], place[asking - images.start], asking, number)
        enough = ~best.cut
        if max(found.ks) > best.value.shape[1]:
            enough &= best.right.any(1)
        rest.append(part[~enough])
        best, part, asking = best.take(enough), part[enough], asking[enough]
        found.recall[part] = _recall(None, asking, number, best, np.asarray(found.ks))
        precision = _average_precision(None, asking, number, best, mates[asking])
        found.average_precision[part] = precision
    return np.concatenate(rest)


def _members(group: Counts) -> Callable[[Counts], tuple[Counts, Counts]]:
    """Return what gives the cells (row, column) that belong to the groups of some queries."""
    order = np.argsort(group, kind="stable")
    size = np.bincount(group)
    begin = np.cumsum(size) - size

    def of(query: Counts) -> tuple[Counts, Counts]:
        count = size[group[query]]
        row = np.repeat(np.arange(len(query)), count)
        place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        return row, order[begin[group[query]][row] + place]

    return of


@dataclass(frozen=True, eq=False)
class _Best:
    """The best scores of each row, in falling order.

    Attributes
    ----------
    value : ndarray
        (q, K).
    right : ndarray
        (q, K) bool: whether each is of the query's class.
    cut : ndarray
        (q,) bool: the last group of equal scores goes on beyond the list.
    """

    value: NDArray[Any]
    right: NDArray[np.bool_]
    cut: NDArray[np.bool_]

    def take(self, rows: NDArray[np.bool_]) -> _Best:
        return _Best(self.value[rows], self.right[rows], self.cut[rows])


def _best(value: NDArray[Any], place: Counts, query: Counts, number: Counts) -> _Best:
    # one more than asked for tells whether the list ends within a group
    listed, beyond = value[:, :-1], value[:, -1]
    # what the query does not see stands last, at minus infinity
    right = (number[place[:, :-1]] == number[query, None]) & (listed > -np.inf)
    return _Best(listed, right, (beyond == listed[:, -1]) & (beyond > -np.inf))


def _group_ends(best: _Best) -> tuple[Counts, Counts]:
    """Return where the group of equal scores of each place of the lists begins and ends."""
    place = np.arange(best.value.shape[1])
    starts = np.ones(best.value.shape, bool)
    np.not_equal(best.value[:, 1:], best.value[:, :-1], out=starts[:, 1:])
    before = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    ends = np.column_stack([starts[:, 1:], np.ones(len(starts), bool)])
    after = np.where(ends, place + 1, len(place))
    return before, np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]


def _recall(
    scores: NDArray[Any] | None, query: Counts, number: Counts, best: _Best, ks: Counts
) -> Floats:
    """Return the chance that the first k hold an image of the class, (q, len(ks)).

    Only the group of the best score of the class matters. It is read off the list where it ends
    there, and counted in the whole row where it does not.
    """
    before, after = _group_ends(best)
    first = best.right.argmax(1)[:, None]
    hit = np.asarray(best.right.any(1))
    ahead, end = (np.take_along_axis(x, first, 1) for x in (before, after))
    counted = np.column_stack([np.zeros(len(hit), np.int64), best.right.cumsum(1)])
    hits = np.take_along_axis(counted, end, 1)
    tied = end - ahead
    length = best.value.shape[1]
    whole = ~hit if ks.max() > length else np.zeros(len(hit), bool)
    whole |= best.cut & (~hit | (end[:, 0] == length))
    rows = np.flatnonzero(whole)
    if scores is not None and rows.size:
        same = number[query[rows], None] == number
        top = np.where(same, scores[rows], -np.inf).max(1)
        ahead[rows, 0], tied[rows, 0] = count_above(scores[rows], top)
        hits[rows, 0] = (same & (scores[rows] == top[:, None])).sum(1)
    chance = chance_within(ahead, tied, np.maximum(hits, 1), ks)
    chance[~hit & ~whole] = 0
    return chance


def _average_precision(
    scores: NDArray[Any] | None, query: Counts, number: Counts, best: _Best, mates: Counts
) -> Floats:
    """Return the expected average precision at R of each query, (q,).

    Place j of a group of t equal scores, m of them of the class, behind `before` images with
    `found` of the class among them: it is of the class with chance m / t, and then the precision
    there is (found + 1 + (j - 1) (m - 1) / (t - 1)) / (before + j).
    """
    before, after = _group_ends(best)
    place = np.arange(best.value.shape[1])
    counted = np.column_stack([np.zeros(len(query), np.int64), best.right.cumsum(1)])
    found = np.take_along_axis(counted, before, 1)
    tied = after - before
    hits = np.take_along_axis(counted, after, 1) - found
    # the last group may reach beyond the list: count it in the whole row
    rows = np.flatnonzero(best.cut)
    if scores is not None and rows.size:
        last = scores[rows] == best.value[rows, -1:]
        in_last = best.value[rows] == best.value[rows, -1:]
        same = last & (number[query[rows], None] == number)
        tied[rows] = np.where(in_last, last.sum(1)[:, None], tied[rows])
        hits[rows] = np.where(in_last, same.sum(1)[:, None], hits[rows])
    others = (place - before) * (hits - 1) / np.maximum(tied - 1, 1)
    gain = hits / tied * (found + 1 + others) / (place + 1)
    gain[place >= mates[:, None]] = 0
    return np.asarray(gain.sum(1) / mates)
