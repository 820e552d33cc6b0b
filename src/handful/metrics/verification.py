"""How well a score tells yes from no: the ROC curve and figures read from it."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

Floats: TypeAlias = NDArray[np.float64]


def auroc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a positive outscores a negative.

    A tie counts one half, so a constant score has .5. This is the rank statistic of Mann and
    Whitney (1947) over the number of pairs.

    Parameters
    ----------
    positive, negative : array_like
        Scores (n,) and (m,) of the yes and of the no cases, at least one each, without NaN.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> auroc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    yes, no = _scores(positive), _scores(negative)
    ranks = rankdata(np.concatenate([yes, no]))
    above = ranks[: len(yes)].sum() - len(yes) * (len(yes) + 1) / 2
    return float(above / (len(yes) * len(no)))


def roc_curve(positive: ArrayLike, negative: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return the ROC curve, one point per distinct score and the origin.

    Parameters
    ----------
    positive, negative : array_like
        Scores (n,) and (m,) of the yes and of the no cases, at least one each, without NaN.

    Returns
    -------
    false, true : ndarray
        Shares of the negatives and of the positives at or above the threshold, rising from 0 to 1.
    threshold : ndarray
        The scores, falling, after infinity.

    Examples
    --------
    >>> false, true, threshold = roc_curve([0.9, 0.5], [0.5, 0.1])
    >>> false.tolist(), true.tolist(), threshold.tolist()
    ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0], [inf, 0.9, 0.5, 0.1])
    """
    yes, no = _scores(positive), _scores(negative)
    cuts = np.unique(np.concatenate([yes, no]))[::-1]
    threshold = np.concatenate([[np.inf], cuts])
    return _at_or_above(no, threshold), _at_or_above(yes, threshold), threshold


def balanced_accuracy(positive: ArrayLike, negative: ArrayLike, threshold: float) -> float:
    """Return the mean of the two rates of right answers; at or above `threshold` is yes.

    Examples
    --------
    >>> balanced_accuracy([0.9, 0.5, 0.4, 0.8], [0.5, 0.1], 0.5)
    0.625
    """
    cut = np.array([threshold])
    yes = _at_or_above(_scores(positive), cut)
    no = _at_or_above(_scores(negative), cut)
    return float((yes[0] + 1 - no[0]) / 2)


def balanced_cut(positive: ArrayLike, negative: ArrayLike) -> float:
    """Return the threshold with the largest :func:`balanced_accuracy`.

    Where several are as good it is the middle one: the end of a plateau is a matter of chance.

    Examples
    --------
    >>> round(balanced_cut([0.9, 0.8, 0.3], [0.4, 0.1]), 12)
    0.6
    """
    yes, no = _scores(positive), _scores(negative)
    cuts = np.unique(np.r_[yes, no])
    middle = np.r_[cuts[0], (cuts[1:] + cuts[:-1]) / 2]
    gain = _at_or_above(yes, middle) - _at_or_above(no, middle)
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(middle[best[len(best) // 2]])


def equal_error_rate(positive: ArrayLike, negative: ArrayLike) -> float:
    """Return the error rate where as many positives are missed as negatives are let in.

    Between two points of the ROC curve the crossing is found by linear interpolation.

    Examples
    --------
    >>> equal_error_rate([0.9, 0.5], [0.4, 0.1]), equal_error_rate([1.0], [1.0])
    (0.0, 0.5)
    """
    false, true, _ = roc_curve(positive, negative)
    gap = false - (1 - true)  # rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    part = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(false[after - 1] + part * (false[after] - false[after - 1]))


def _scores(values: ArrayLike) -> Floats:
    scores = np.asarray(values, np.float64)
    if scores.ndim != 1 or not scores.size or np.isnan(scores).any():
        raise ValueError(f"scores {scores.shape}: one row, not empty, without NaN")
    return scores


def _at_or_above(scores: Floats, threshold: Floats) -> Floats:
    below = np.searchsorted(np.sort(scores), threshold, side="left")
    share: Floats = 1 - below / len(scores)
    return share
