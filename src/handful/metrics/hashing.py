"""Retrieval by Hamming distance: mean average precision, precision within a radius and at k.

Codes of k bits have k + 1 distances, so nearly every image is tied with others. Those at one
distance come in no order of their own: they count by expected value over all orders, in closed
form. Distances come in as counts, one for each query and distance, so that a database of any size
is a small table.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]


def distance_counts(
    distances: ArrayLike, relevant: ArrayLike, levels: int
) -> tuple[Counts, Counts]:
    """Count the images at each distance, and how many of them are relevant.

    Parameters
    ----------
    distances : array_like
        Whole numbers (Q, N) below `levels`.
    relevant : array_like
        (Q, N) bool.
    levels : int
        How many distances there are: one more than bits.

    Returns
    -------
    hits, total : ndarray
        (Q, levels) int64.

    Examples
    --------
    >>> hits, total = distance_counts([[0, 2, 2]], [[True, False, True]], 3)
    >>> hits.tolist(), total.tolist()
    ([[1, 0, 1]], [[1, 0, 2]])
    """
    away, right = np.asarray(distances), np.asarray(relevant, bool)
    if away.ndim != 2 or away.shape != right.shape:
        raise ValueError(f"distances {away.shape} and relevant {right.shape}: equal, (Q, N)")
    place = away.astype(np.int64) + levels * np.arange(len(away))[:, None]
    size = levels * len(away)
    total = np.bincount(place.ravel(), minlength=size)
    hits = np.bincount(place[right], minlength=size)
    if len(total) > size:
        raise ValueError(f"a distance is not below {levels}")
    return hits.reshape(-1, levels), total.reshape(-1, levels)


def average_precision(hits: ArrayLike, total: ArrayLike) -> Floats:
    r"""Return the expected average precision of each query over its whole ranking.

    Behind N images with F relevant ones among them, let t images be tied, m of them relevant.
    Place j of the t is relevant with chance m / t, and then the precision there is, in the mean,
    (F + 1 + (j - 1) (m - 1) / (t - 1)) / (N + j). With h = H(N + t) - H(N), a difference of
    harmonic numbers, the sum over j is

    .. math:: \frac{m}{t} \left( (F + 1) h + \frac{m - 1}{t - 1} (t - (N + 1) h) \right).

    Parameters
    ----------
    hits, total : array_like
        (Q, levels) as :func:`distance_counts` gives them: nearest first.

    Returns
    -------
    ndarray
        (Q,) in [0, 1]; 0 for a query without relevant images.

    Examples
    --------
    >>> average_precision([[1]], [[2]])  # first or second, either with chance 1/2
    array([0.75])
    """
    m, t = _checked(hits, total)
    found, before = m.cumsum(1) - m, t.cumsum(1) - t
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, t.sum(1).max() + 1))])
    span = harmonic[before + t] - harmonic[before]
    slope = (m - 1) / np.maximum(t - 1, 1)
    tied = m / np.maximum(t, 1) * ((found + 1) * span + slope * (t - (before + 1) * span))
    return np.asarray(tied.sum(1) / np.maximum(m.sum(1), 1))


def precision_within(hits: ArrayLike, total: ArrayLike, radius: int = 2) -> Floats:
    """Return the share of relevant images among those at most `radius` away, (Q,).

    A query with none within the radius counts 0.

    Examples
    --------
    >>> precision_within([[1, 0, 0, 5], [0, 0, 0, 5]], [[1, 1, 0, 9], [0, 0, 0, 9]])
    array([0.5, 0. ])
    """
    m, t = _checked(hits, total)
    ball = t[:, : radius + 1].sum(1)
    return np.asarray(m[:, : radius + 1].sum(1) / np.maximum(ball, 1))


def precision_at(hits: ArrayLike, total: ArrayLike, k: int) -> Floats:
    """Return the expected share of relevant images among the first `k`, (Q,).

    Examples
    --------
    >>> precision_at([[1, 1]], [[1, 4]], 2)  # the second place is relevant with chance 1/4
    array([0.625])
    """
    m, t = _checked(hits, total)
    if not 1 <= k <= t.sum(1).min():
        raise ValueError(f"k {k}: at least 1, and no more than the images that are ranked")
    before = t.cumsum(1) - t
    inside = np.clip(k - before, 0, t)
    return np.asarray((inside * m / np.maximum(t, 1)).sum(1) / k)


def _checked(hits: ArrayLike, total: ArrayLike) -> tuple[Counts, Counts]:
    m, t = np.asarray(hits, np.int64), np.asarray(total, np.int64)
    if m.ndim != 2 or m.shape != t.shape or (m < 0).any() or (m > t).any():
        raise ValueError(f"hits {m.shape} and total {t.shape}: equal, (Q, levels), hits <= total")
    return m, t
