"""Spectral hashing: the smoothest functions on a box that the data fill evenly.

Y. Weiss, A. Torralba, R. Fergus, "Spectral hashing", NIPS 2008, section 3: on an interval [a, b]
the eigenfunctions of the Laplacian are sin(pi / 2 + m pi / (b - a) x) (equation 7), of the
eigenvalues 1 - exp(-eps^2 / 2 (m pi / (b - a))^2) (equation 8).
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from handful.methods.hashing.base import Bits, Floats, Hasher, Indices, unlabelled
from handful.methods.hashing.itq import principal


class SpectralHashing(Hasher):
    """Signs of sines along the principal components.

    Parameters
    ----------
    n_bits, seed : int
        See `Hasher`; there is no chance in it.

    Attributes
    ----------
    axis_, mode_ : ndarray
        The principal component and the m of each bit, (n_bits,).
    """

    name = "spectral"

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D); labels are not looked at."""
        rows = unlabelled(features)
        self.directions_: Floats = principal(rows, self.n_bits)
        values = rows @ self.directions_
        self.low_: Floats = values.min(0)
        self.width_: Floats = np.maximum(values.max(0) - self.low_, 1e-12)
        self.axis_, self.mode_ = smoothest(self.width_, self.n_bits)
        return self

    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""
        place = (features @ self.directions_ - self.low_) / self.width_
        return np.asarray(np.sin(np.pi / 2 + self.mode_ * np.pi * place[:, self.axis_]) > 0)


def smoothest(width: Floats, count: int) -> tuple[Indices, Indices]:
    """Return the axis and the mode of the `count` lowest eigenvalues on a box with sides (k,).

    They grow with mode / side, so these alone are compared.

    Examples
    --------
    >>> axis, mode = smoothest(np.array([2.0, 0.9]), 4)
    >>> [*zip(axis.tolist(), mode.tolist())]
    [(0, 1), (0, 2), (1, 1), (0, 3)]
    """
    frequency = np.arange(1, count + 1)[:, None] / width
    order = np.argsort(frequency, axis=None, kind="stable")[:count]
    mode, axis = np.unravel_index(order, frequency.shape)
    return np.asarray(axis), np.asarray(mode + 1)
