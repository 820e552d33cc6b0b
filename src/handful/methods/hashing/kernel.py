"""Gaussian kernels against anchors, which two of the rivals hash instead of the features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handful.methods.hashing.base import Floats


@dataclass(frozen=True, eq=False)
class Anchors:
    """Maps features to their Gaussian kernels with some of the training features.

    Attributes
    ----------
    points : ndarray
        (m, D).
    width : float
        The kernel is exp(-|x - a|^2 / width).
    centre : ndarray
        (m,): what is taken off.
    """

    points: Floats
    width: float
    centre: Floats

    def __call__(self, features: Floats) -> Floats:
        """Map features (N, D) to centred kernels (N, m)."""
        return (
            np.asarray(np.exp(-squared_distances(features, self.points) / self.width)) - self.centre
        )


def draw_anchors(rows: Floats, count: int, rng: np.random.Generator) -> Anchors:
    """Draw anchors from rows (N, D), at most `count`; the width is the mean squared distance."""
    points = rows[np.sort(rng.permutation(len(rows))[:count])]
    width = float(squared_distances(rows, points).mean()) or 1.0
    plain = Anchors(points, width, np.zeros(len(points)))
    return Anchors(points, width, plain(rows).mean(0))


def squared_distances(first: Floats, second: Floats) -> Floats:
    """Return |a - b|^2, (N, M), of rows (N, D) and (M, D).

    Examples
    --------
    >>> squared_distances(np.array([[0.0, 3.0]]), np.array([[4.0, 0.0]])).tolist()
    [[25.0]]
    """
    norms = (first**2).sum(1)[:, None] + (second**2).sum(1)
    return np.asarray(np.maximum(norms - 2 * first @ second.T, 0))
