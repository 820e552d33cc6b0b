"""Iterative quantisation: rotate a projection so that its signs are close to it.

Y. Gong, S. Lazebnik, "Iterative quantization: a Procrustean approach to learning binary codes",
CVPR 2011: equation 2 is the loss, section 2.2 the two steps, section 4.1 the projection by
canonical correlations.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from handful.methods.hashing.base import Floats, Indices, LinearHasher, labelled, unlabelled


def rotate(values: Floats, rotation: Floats, iterations: int = 50) -> tuple[Floats, list[float]]:
    """Find the rotation R that makes values (N, k) times R close to their signs.

    Parameters
    ----------
    values : ndarray
        (N, k), centred.
    rotation : ndarray
        (k, k), orthogonal: where to start.
    iterations : int
        Pairs of steps: the codes B = sign(V R), then R of the orthogonal Procrustes problem.

    Returns
    -------
    rotation : ndarray
        (k, k), orthogonal.
    errors : list of float
        The quantisation error |B - V R|^2 (equation 2) after each pair of steps; it never rises.
    """
    errors = []
    for _ in range(iterations):
        codes = np.where(values @ rotation > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(values.T @ codes)
        rotation = left @ right
        errors.append(float(((codes - values @ rotation) ** 2).sum()))
    return rotation, errors


class _ITQ(LinearHasher):
    """What both projections share.

    Parameters
    ----------
    n_bits, seed : int
        See `Hasher`.
    iterations : int
        Of :func:`rotate`.

    Attributes
    ----------
    rotation_ : ndarray
        (k, k) with k the directions that the projection has.
    errors_ : list of float
        See :func:`rotate`.
    """

    rotation_: Floats
    errors_: list[float]

    def __init__(self, n_bits: int = 16, seed: int = 0, iterations: int = 50) -> None:
        super().__init__(n_bits, seed)
        self.iterations = iterations

    def _rotated(self, rows: Floats, directions: Floats) -> Self:
        centre = rows.mean(0)
        start = np.linalg.qr(self._rng().standard_normal((directions.shape[1],) * 2))[0]
        values = (rows - centre) @ directions
        self.rotation_, self.errors_ = rotate(values, start, self.iterations)
        return self._set(directions @ self.rotation_, centre)


class PCAITQ(_ITQ):
    """ITQ on the principal components.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(50, 6))
    >>> hasher = PCAITQ(n_bits=4).fit(rows)
    >>> hasher.errors_[-1] < hasher.errors_[0], hasher.transform(rows).shape
    (True, (50, 1))
    """

    name = "pca-itq"

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D); labels are not looked at."""
        rows = unlabelled(features)
        return self._rotated(rows, principal(rows, self.n_bits))


class CCAITQ(_ITQ):
    """ITQ on the directions that correlate with the classes.

    With C classes there are at most C - 1 such directions; further bits are random ones.

    Parameters
    ----------
    n_bits, seed, iterations : int
        See `PCAITQ`.
    regularisation : float
        What is added to both covariances' diagonals, as a share of the features' mean variance
        and of 1 for the classes.
    """

    name = "cca-itq"
    supervised = True

    def __init__(
        self, n_bits: int = 16, seed: int = 0, iterations: int = 50, regularisation: float = 1e-4
    ) -> None:
        super().__init__(n_bits, seed, iterations)
        self.regularisation = regularisation

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D) and the class of each, (N,)."""
        rows, number = labelled(features, labels, self.name)
        directions = canonical(rows, number, self.regularisation)[:, : self.n_bits]
        return self._rotated(rows, directions)


def principal(rows: Floats, count: int) -> Floats:
    """Return the first principal directions (D, k) of rows (N, D), k at most `count`.

    Directions along which nothing varies are left out.
    """
    centred = rows - rows.mean(0)
    if len(rows) < rows.shape[1]:
        _, spread, directions = np.linalg.svd(centred, full_matrices=False)
        directions = directions.T
    else:
        values, vectors = np.linalg.eigh(centred.T @ centred)
        spread, directions = np.sqrt(np.maximum(values[::-1], 0)), vectors[:, ::-1]
    kept = min(count, int((spread > 1e-6 * spread[0]).sum()))
    return np.asarray(directions[:, :kept])


def canonical(rows: Floats, number: Indices, regularisation: float) -> Floats:
    r"""Return the directions (D, C - 1) of features that correlate most with the classes.

    They solve equation 5 of the paper,

    .. math:: S_{xy} (S_{yy} + r I)^{-1} S_{yx} w = t^2 (S_{xx} + r I) w,

    and are scaled by t, as the paper does. The problem is solved in the span of the examples,
    outside of which S_xy is zero.
    """
    classes = number.max() + 1
    x = rows - rows.mean(0)
    y = np.eye(classes)[number]
    y -= y.mean(0)
    _, spread, axes = np.linalg.svd(x, full_matrices=False)
    kept = spread > 1e-6 * spread[0]
    spread, axes = spread[kept], axes[kept].T
    # whitened in the span, the generalised problem is a plain one
    whiten = 1 / np.sqrt(spread**2 / len(x) + regularisation * (spread**2).mean() / len(x))
    across = whiten[:, None] * (axes.T @ (x.T @ y)) / len(x)
    covariance = y.T @ y / len(y) + regularisation * np.eye(classes)
    left, correlation, _ = np.linalg.svd(
        across @ np.linalg.inv(np.linalg.cholesky(covariance)).T, full_matrices=False
    )
    count = min(classes - 1, left.shape[1])
    return np.asarray(axes @ (whiten[:, None] * left[:, :count]) * correlation[:count])
