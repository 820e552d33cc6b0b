"""How well masks are found: IoU accumulated over episodes, and how far chance may have moved it.

Intersections and unions are summed per class over all episodes, divided, and averaged over the
classes: large objects weigh more than small ones, and a class of few episodes as much as one of
many. The mean of the episodes' own IoU is another figure, and no paper's.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]

VOID = 255


class Overlap(NamedTuple):
    """Pixels of every mask that was asked for.

    Attributes
    ----------
    intersection, union : ndarray
        int64, of predicted and true pixels; void pixels are in neither.
    truth : ndarray
        int64, true pixels: the union of an empty answer.
    """

    intersection: Counts
    union: Counts
    truth: Counts


def overlap(predicted: ArrayLike, truth: ArrayLike) -> Overlap:
    """Count the pixels that a predicted and a true mask share, and those of either.

    Parameters
    ----------
    predicted : array_like
        (..., H, W) bool.
    truth : array_like
        (..., H, W) of the same shape: 1 the class, 0 not, 255 void, which is left out.

    Returns
    -------
    Overlap
        Each of the leading shape.

    Examples
    --------
    >>> overlap([[[True, True, True, False]]], [[[1, 0, 255, 1]]])
    Overlap(intersection=array([1]), union=array([3]), truth=array([2]))
    """
    found, there = np.asarray(predicted, bool), np.asarray(truth)
    if found.shape != there.shape or found.ndim < 2:
        raise ValueError(f"predicted {found.shape} and truth {there.shape}: equal, (..., H, W)")
    found = found & (there != VOID)
    true = there == 1
    axes = (-2, -1)
    both = np.count_nonzero(found & true, axis=axes)
    either = np.count_nonzero(found | true, axis=axes)
    return Overlap(
        np.asarray(both, np.int64),
        np.asarray(either, np.int64),
        np.asarray(np.count_nonzero(true, axis=axes), np.int64),
    )


def class_iou(
    intersection: ArrayLike, union: ArrayLike, classes: ArrayLike, n_classes: int
) -> Floats:
    """Return the IoU of each class: its intersections over its unions, both summed first.

    Parameters
    ----------
    intersection, union : array_like
        Pixels of every answer, of one shape.
    classes : array_like
        The class of each, 0 to `n_classes` - 1, of the same shape.
    n_classes : int
        How many there are.

    Returns
    -------
    ndarray
        (n_classes,) in [0, 1]; NaN for a class without a pixel.

    Examples
    --------
    >>> class_iou([1, 9, 1], [10, 10, 4], [0, 0, 1], 2).tolist()
    [0.5, 0.25]
    """
    number = np.asarray(classes).ravel()
    both = np.bincount(number, np.asarray(intersection).ravel(), n_classes)
    either = np.bincount(number, np.asarray(union).ravel(), n_classes)
    return _ratio(both, either)


def mean_iou(intersection: ArrayLike, union: ArrayLike, classes: ArrayLike) -> float:
    """Return the mean of :func:`class_iou` over the classes that occur.

    Examples
    --------
    >>> mean_iou([1, 9, 1], [10, 10, 4], [0, 0, 7])
    0.375
    """
    number = np.unique(np.asarray(classes), return_inverse=True)[1]
    iou = class_iou(intersection, union, number, int(number.max()) + 1)
    return float(np.nanmean(iou))


def foreground_background_iou(intersection: ArrayLike, union: ArrayLike) -> float:
    """Return FB-IoU: the IoU of foreground and of background over all episodes, averaged.

    Parameters
    ----------
    intersection, union : array_like
        (T, 2) pixels of each episode: those of the background, and of the foreground.

    Examples
    --------
    >>> foreground_background_iou([[9, 1], [9, 1]], [[10, 2], [10, 2]])
    0.7
    """
    both, either = np.asarray(intersection).sum(0), np.asarray(union).sum(0)
    return float(np.nanmean(_ratio(both, either)))


def bootstrap_interval(
    intersection: ArrayLike,
    union: ArrayLike,
    classes: ArrayLike,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the interval of mIoU, by drawing episodes again within their classes.

    Parameters
    ----------
    intersection, union, classes : array_like
        (T,) or (T, ways): of each episode. One with several ways is drawn as a whole, among
        those of its first way's class.
    level : float
        Share of the resamples inside.
    resamples : int
        How often episodes are drawn.
    seed : int
        What they are drawn from.

    References
    ----------
    B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979;
    the percentile interval of a stratified sample.

    Examples
    --------
    >>> bootstrap_interval([5, 5, 2], [10, 10, 4], [0, 0, 1])
    (0.5, 0.5)
    """
    rows = _episodes(intersection, union, classes)
    return _interval(_resampled([rows], resamples, seed)[0], level)


def paired_difference(
    first: tuple[ArrayLike, ArrayLike],
    second: tuple[ArrayLike, ArrayLike],
    classes: ArrayLike,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, tuple[float, float]]:
    """Return by how much the mIoU of one method exceeds another's on the same episodes.

    Parameters
    ----------
    first, second : (intersection, union)
        As for :func:`bootstrap_interval`, the same episodes in the same order.
    classes, level, resamples, seed
        As there; every resample draws the same episodes for both.

    Returns
    -------
    difference : float
        mIoU of `first` less that of `second`, in [-1, 1].
    interval : (float, float)
        Where it is above 0, chance in the choice of episodes does not explain the gain.

    Examples
    --------
    >>> paired_difference(([6, 5], [10, 10]), ([4, 3], [10, 10]), [0, 1])[0]
    0.2
    """
    rows = [_episodes(*pair, classes) for pair in (first, second)]
    drawn = _resampled(rows, resamples, seed)
    means = [mean_iou(*pair, classes) for pair in (first, second)]
    return round(means[0] - means[1], 12), _interval(drawn[0] - drawn[1], level)


class _Episodes(NamedTuple):
    intersection: Floats  # (T, classes)
    union: Floats
    stratum: Counts  # (T,)


def _episodes(intersection: ArrayLike, union: ArrayLike, classes: ArrayLike) -> _Episodes:
    number = np.asarray(classes)
    number = number.reshape(len(number), -1)
    both, either = (np.asarray(x, np.float64).reshape(number.shape) for x in (intersection, union))
    number = np.unique(number, return_inverse=True)[1].reshape(number.shape)
    table = np.zeros((2, len(number), int(number.max()) + 1))
    rows = np.arange(len(number))[:, None]
    np.add.at(table[0], (rows, number), both)
    np.add.at(table[1], (rows, number), either)
    return _Episodes(table[0], table[1], number[:, 0])


def _resampled(methods: list[_Episodes], resamples: int, seed: int) -> list[Floats]:
    """Return the mIoU of every resample, the same episodes for every method."""
    rng = np.random.default_rng(seed)
    sums = [np.zeros((2, resamples, rows.union.shape[1])) for rows in methods]
    for stratum in np.unique(methods[0].stratum):
        among = np.flatnonzero(methods[0].stratum == stratum)
        times = rng.multinomial(len(among), np.full(len(among), 1 / len(among)), resamples)
        for total, rows in zip(sums, methods, strict=True):
            total[0] += times @ rows.intersection[among]
            total[1] += times @ rows.union[among]
    return [np.nanmean(_ratio(total[0], total[1]), axis=1) for total in sums]


def _interval(values: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def _ratio(part: ArrayLike, whole: ArrayLike) -> Floats:
    over, under = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    ratio: Floats = np.full(under.shape, np.nan)
    np.divide(over, under, out=ratio, where=under > 0)
    return ratio
