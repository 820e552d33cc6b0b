"""Retrieval where some images must not find each other: frames of one burst, cells of one slide.

Every image queries all images of other groups. As in :mod:`handful.metrics.retrieval`, equal
scores count by expected value over all orders in which they may stand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.metrics.retrieval import Retrieval, Rows

# rows of scores asked for at once
_ROWS = 64


def retrieve_apart(
    rows: Rows, labels: ArrayLike, groups: ArrayLike, ks: Sequence[int] = (1, 2, 4, 8)
) -> Retrieval:
    """Let every image query those of other groups, and measure what it finds.

    Parameters
    ----------
    rows : callable
        Gives the scores (q, N) of a slice of the images against all; larger is more alike.
    labels, groups : array_like
        The class and the group of each image, (N,): integers or strings.
    ks : sequence of int
        The lengths of a result list, each at least 1.

    Returns
    -------
    Retrieval
        An image without another of its class in another group is in the results of others, but is
        no query. R of the average precision counts the images of its class in other groups.

    Raises
    ------
    ValueError
        Shapes that do not fit, scores that are not finite, or no query.

    Examples
    --------
    >>> from handful.metrics import inner_products
    >>> features = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> found = retrieve_apart(inner_products(features), list("aaba"), [1, 1, 2, 3], ks=[1])
    >>> found.query.tolist(), found.recall[:, 0].tolist()
    ([0, 1, 3], [1.0, 1.0, 0.0])
    """
    label = np.unique(np.asarray(labels), return_inverse=True)[1]
    group = np.unique(np.asarray(groups), return_inverse=True)[1]
    if label.shape != group.shape:
        raise ValueError(f"{len(label)} labels and {len(group)} groups: one of each for each image")
    query, recall, precision = [], [], []
    for start in range(0, len(label), _ROWS):
        for place, scores in enumerate(np.asarray(rows(slice(start, start + _ROWS))), start):
            others = group != group[place]
            right = label[others] == label[place]
            if not right.any():
                continue
            given = scores[others].astype(np.float64)
            if not np.isfinite(given).all():
                raise ValueError("scores that are not finite have no order")
            found = _Places(given, right)
            query.append(place)
            recall.append([found.recall(k) for k in ks])
            precision.append(found.average_precision())
    if not query:
        raise ValueError("no two images of different groups are of one class: nothing can be found")
    return Retrieval(np.array(query), tuple(ks), np.array(recall), np.array(precision))


class _Places:
    """The results of one query by falling score, those of equal score together."""

    def __init__(self, scores: NDArray[np.float64], right: NDArray[np.bool_]) -> None:
        level = np.unique(-scores, return_inverse=True)[1]
        self.tied = np.bincount(level)
        self.hits = np.bincount(level[right], minlength=len(self.tied))
        self.ahead = self.tied.cumsum() - self.tied
        self.found = self.hits.cumsum() - self.hits

    def recall(self, k: int) -> float:
        """Return the chance that one of the first `k` is right."""
        first = int(np.flatnonzero(self.hits)[0])
        tied, wrong = int(self.tied[first]), int(self.tied[first] - self.hits[first])
        places = min(max(k - int(self.ahead[first]), 0), tied)
        drawn = np.arange(places)
        return float(1 - np.prod(np.maximum(wrong - drawn, 0) / (tied - drawn)))

    def average_precision(self) -> float:
        """Return the expected average precision at R, the number of right results."""
        total = int(self.hits.sum())
        place = np.arange(total)
        group = np.searchsorted(self.ahead, place, side="right") - 1
        tied, hits = self.tied[group], self.hits[group]
        others = (place - self.ahead[group]) * (hits - 1) / np.maximum(tied - 1, 1)
        gain = hits / tied * (self.found[group] + 1 + others) / (place + 1)
        return float(gain.sum() / total)
