"""Equal scores come in no order of their own: what a list of results is worth over all orders.

A group of equal scores is told by three numbers: how many results are `ahead` of it, how many it
has (`tied`), and how many of those are right (`hits`). All expectations are in closed form.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]


def chance_within(ahead: Counts, tied: Counts, hits: Counts, ks: Counts) -> Floats:
    """Return the chance that the first k results hold one of the right ones of a group.

    The first k leave j = k - ahead places for the t tied, and none of the m right ones is among
    them with chance C(t - m, j) / C(t, j).

    Parameters
    ----------
    ahead, tied, hits : ndarray
        Of one group each, of any shapes that broadcast with `ks`; hits is at least 1.
    ks : ndarray
        Lengths of the list.

    Examples
    --------
    >>> chance_within(np.array(1), np.array(2), np.array(1), np.array([1, 2, 3])).round(9).tolist()
    [0.0, 0.5, 1.0]
    """
    places = np.clip(ks - ahead, 0, tied)
    misses = tied - hits
    room = np.maximum(misses - places, 0)
    log_chance = _log_choose(room, misses, places) - _log_choose(tied - places, tied, places)
    chance = np.where(places == 0, 0.0, -np.expm1(log_chance))
    # one alone is found or not: no rounding
    return np.where(places > misses, 1.0, np.where(tied == 1, 0.0, chance))


def _log_choose(rest: Counts, total: Counts, places: Counts) -> Floats:
    # 1 / C(n, j) = (n + 1) B(n - j + 1, j + 1)
    value: Floats = -betaln(rest + 1, places + 1) - np.log1p(total)
    return value


def precision_sums(
    ahead: Counts, found: Counts, tied: Counts, hits: Counts
) -> tuple[Floats, Floats]:
    r"""Return the expected sum of the precisions at the right results of each group.

    Place j = 0 ... t - 1 of a group is right with chance m / t, and then it has found + j (m - 1)
    / (t - 1) right ones before it. Sums of (a + b j) / (c + j) are differences of the harmonic
    numbers H:

    .. math:: \sum_{j=0}^{t-1} \frac{a + b j}{c + j} = b t + (a - b c) (H_{c+t-1} - H_{c-1})

    Parameters
    ----------
    ahead, found, tied, hits : ndarray
        Of groups, all of one shape (G,); `found` of the results ahead are right.

    Returns
    -------
    after : ndarray
        (G,): the precision of the results up to and with each right one, summed.
    middle : ndarray
        (G,): the mean of that and of the precision just before it, which is 1 at the first
        place: the trapezoids below the curve of precision over recall.

    Examples
    --------
    >>> one = np.array([1])
    >>> [float(value[0]) for value in precision_sums(one, 0 * one, one, one)]
    [0.5, 0.25]
    """
    alone = tied == 1
    share = hits / tied
    slope = (hits - 1) / np.maximum(tied - 1, 1)
    place = ahead + 1.0
    harmonic = _harmonic(int((ahead + tied).max(initial=0)))
    first, last = ahead, ahead + tied
    several = slope * tied + (found + 1 - slope * place) * (harmonic[last] - harmonic[first])
    after = np.where(alone, (found + 1) / place, share * several)
    # the same one place earlier; at the very first place the precision before it is taken as 1
    top = ahead == 0
    earlier = harmonic[last - 1] - harmonic[np.maximum(first - 1, 0)]
    several = slope * tied + (found - slope * ahead) * earlier
    several = np.where(top, 1 + slope * (tied - 1), several)
    lone = np.where(top, 1.0, found / np.maximum(ahead, 1))
    before = np.where(alone, lone, share * several)
    return after, (after + before) / 2


def _harmonic(upto: int) -> Floats:
    """Return H_0 = 0, H_1 = 1, H_2 = 1 + 1/2, ... in double precision."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, upto + 1))])


def count_above(
    scores: NDArray[Any], value: NDArray[Any], scratch: NDArray[np.bool_] | None = None
) -> tuple[Counts, Counts]:
    """Count how many scores of a row are above its value, and how many are at it.

    Parameters
    ----------
    scores : ndarray
        (q, N).
    value : ndarray
        (q,).
    scratch : ndarray, optional
        What `scratch_of` gave for at least q rows of N, where there are many calls.

    Returns
    -------
    above, level : ndarray
        (q,) int64.

    Notes
    -----
    Eight cells of a mask are added at once, as the bytes of a word: four times as fast as the
    sum of the mask.

    Examples
    --------
    >>> above, level = count_above(np.array([[3.0, 1.0, 2.0, 2.0]]), np.array([2.0]))
    >>> above.tolist(), level.tolist()
    ([1], [2])
    """
    rows, width = scores.shape
    words = (scratch_of(rows, width) if scratch is None else scratch)[:rows]
    mask = words.reshape(rows, -1)[:, :width]
    np.greater(scores, value[:, None], out=mask)
    above = _total(words)
    np.equal(scores, value[:, None], out=mask)
    return above, _total(words)


def scratch_of(rows: int, width: int) -> NDArray[np.bool_]:
    """Return zeros (rows, parts, 8 n), n at most 255, that hold `width` cells a row."""
    words = max(1, -(-width // 8))
    parts = -(-words // 255)
    return np.zeros((rows, parts, -(-words // parts) * 8), bool)


def _total(mask: NDArray[np.bool_]) -> Counts:
    # a byte holds the sum of up to 255 cells
    total = mask.view(np.uint64).sum(2, keepdims=True).view(np.uint8)
    return np.asarray(total.reshape(len(mask), -1).sum(1, dtype=np.int64))
