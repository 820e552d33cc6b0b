"""Accuracy, and how far chance may have moved it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit


def accuracy(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Return the share of predictions that equal the truth, in [0, 1].

    Parameters
    ----------
    predicted, truth : array_like
        Classes of the same shape, at least one.

    Examples
    --------
    >>> accuracy([1, 2, 3, 3], [1, 2, 3, 4])
    0.75
    """
    first, second = np.asarray(predicted), np.asarray(truth)
    if first.shape != second.shape or not first.size:
        raise ValueError(f"predicted {first.shape} and truth {second.shape}: equal, not empty")
    return float((first == second).mean())


def wilson_interval(right: float, total: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share of independent trials.

    Parameters
    ----------
    right : float
        Right answers. A trial made of several asks may count by their mean: the interval is then
        too wide rather than too narrow.
    total : int
        All trials, at least one.
    level : float
        How often such an interval holds the true share, in (0, 1).

    Returns
    -------
    tuple of float
        Lower and upper end, within [0, 1]; never empty, not even at 0 or all right.

    References
    ----------
    E. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22, 1927.

    Examples
    --------
    >>> [round(end, 4) for end in wilson_interval(368, 400)]
    [0.8892, 0.9428]
    """
    if not 0 <= right <= total or total < 1:
        raise ValueError(f"{right} right of {total}")
    z = float(ndtri(0.5 + level / 2))
    share, shrink = right / total, 1 + z * z / total
    centre = (share + z * z / (2 * total)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return Student's interval of the mean of independent values, such as episodes' accuracies.

    Parameters
    ----------
    values : array_like
        (n,) with n at least 2.
    level : float
        How often such an interval holds the true mean, in (0, 1).

    Examples
    --------
    >>> [round(end, 4) for end in mean_interval([0.7, 0.8, 0.9])]
    [0.5516, 1.0484]
    """
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or len(sample) < 2:
        raise ValueError(f"values {sample.shape}: at least two in a row")
    half = float(stdtrit(len(sample) - 1, 0.5 + level / 2)) * sample.std(ddof=1)
    half /= math.sqrt(len(sample))
    return float(sample.mean() - half), float(sample.mean() + half)
