"""Bits that part classes in two, and which of them make a code: see `handful_bits`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handful.methods.hashing.base import Floats, Indices

THRESHOLDS = (-0.3, 0.0, 0.3)
DICHOTOMIES = 511
"""As many as 10 classes have; more classes have as many, drawn by chance."""

EXCHANGES = 3
"""Passes of exchanges over the bits, at most."""


def dichotomies(classes: int, rng: np.random.Generator) -> Floats:
    """Return ways to part classes in two, (C, m) in {-1, 1}: all, or `DICHOTOMIES` drawn.

    Examples
    --------
    >>> dichotomies(3, np.random.default_rng(0)).T.astype(int).tolist()
    [[1, -1, -1], [-1, 1, -1], [1, 1, -1]]
    """
    if 2 ** (classes - 1) - 1 > DICHOTOMIES:
        return np.where(rng.random((classes, DICHOTOMIES)) < 0.5, 1.0, -1.0)
    masks = np.arange(1, 2 ** (classes - 1))
    return np.where(masks >> np.arange(classes)[:, None] & 1, 1.0, -1.0)


def candidates(found: Floats, sides: Floats, n_bits: int) -> tuple[Floats, Floats]:
    """Return bits to choose from: mixtures (C, m) of scores, and a threshold for each (m,).

    Parameters
    ----------
    found : ndarray
        The scores of the background, (B, C).
    sides : ndarray
        The dichotomies, (C, d).
    n_bits : int
        How many bits there are to be, at least; few dichotomies are cut so often, at even shares
        of the background.
    """
    many = sides.shape[1]
    if len(THRESHOLDS) * many >= 2 * n_bits:
        return np.tile(sides, len(THRESHOLDS)), np.repeat(np.array(THRESHOLDS), many)
    times = -(-n_bits // many)
    shares = np.arange(1, times + 1) / (times + 1)
    return np.tile(sides, times), np.quantile(found @ sides, shares, axis=0).ravel()


def select_bits(signs: NDArray[np.float32], target: Floats, n_bits: int) -> Indices:
    """Choose bits one by one, then exchange them one by one, so that the loss falls most.

    Parameters
    ----------
    signs : ndarray
        Bits to choose from in {-1, 1}, (m, n).
    target : ndarray
        (n, r): the loss is |k T - sum_t h_t h_t^T|^2 with T = ``target @ target.T`` and h_t in
        {-1, 1}^n.
    n_bits : int
        k.

    Returns
    -------
    ndarray
        Numbers of the bits (k,).
    """
    count = signs.shape[1]
    pull = n_bits * ((signs @ (target.astype(np.float32) / count)) ** 2).sum(1, dtype=np.float64)
    overlap = np.zeros((n_bits, len(signs)))
    chosen = np.full(n_bits, -1)
    for sweep in range(1 + EXCHANGES):
        before = chosen.copy()
        for place in range(n_bits):
            overlap[place] = 0
            gain = pull - overlap.sum(0)
            gain[np.delete(chosen, place)[np.delete(chosen, place) >= 0]] = -np.inf
            # the one that is there stays unless another is better
            best = int(gain.argmax())
            if chosen[place] < 0 or gain[best] > gain[chosen[place]]:
                chosen[place] = best
            overlap[place] = (signs @ (signs[chosen[place]] / count)).astype(np.float64) ** 2
        if sweep and np.array_equal(before, chosen):
            break
    return chosen
