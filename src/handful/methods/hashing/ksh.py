"""Supervised hashing with kernels: inner products of codes should say "same" or "different".

W. Liu, J. Wang, R. Ji, Y.-G. Jiang, S.-F. Chang, "Supervised hashing with kernels", CVPR 2012:
equation 2 is the hash function, 8 the loss, 12 the greedy step of a bit, 13 its spectral start,
15 and 16 its smooth form and the gradient.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from handful.methods.hashing.base import Bits, Floats, Hasher, labelled
from handful.methods.hashing.kernel import Anchors, draw_anchors


class KSH(Hasher):
    """Bits that are learned one after the other, each on what the earlier ones left over.

    Parameters
    ----------
    n_bits, seed : int
        See `Hasher`.
    anchors : int
        Kernels at most, as in the paper.
    examples : int
        Examples at most of which all pairs are looked at; drawn where there are more.

    Attributes
    ----------
    loss_ : list of float
        The loss |H H^T / n_bits - S|^2 of equation 8 after each bit.
    """

    name = "ksh"
    supervised = True

    def __init__(
        self, n_bits: int = 16, seed: int = 0, anchors: int = 300, examples: int = 2000
    ) -> None:
        super().__init__(n_bits, seed)
        self.anchors = anchors
        self.examples = examples

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D) and the class of each, (N,)."""
        rows, number = labelled(features, labels, self.name)
        rng = np.random.default_rng(self.seed)
        self.kernel_: Anchors = draw_anchors(rows, self.anchors, rng)
        if len(rows) > self.examples:
            drawn = np.sort(rng.permutation(len(rows))[: self.examples])
            rows, number = rows[drawn], number[drawn]
        kernels = self.kernel_(rows)
        same = np.where(number[:, None] == number, 1.0, -1.0)
        left = self.n_bits * same
        self.coefficients_: Floats = np.empty((kernels.shape[1], self.n_bits))
        self.loss_: list[float] = []
        for bit in range(self.n_bits):
            self.coefficients_[:, bit] = found = learn_bit(kernels, left)
            code = _signs(kernels @ found)
            left -= np.outer(code, code)
            self.loss_.append(float((left**2).sum()) / self.n_bits**2)
        return self

    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""
        return np.asarray(self.kernel_(features) @ self.coefficients_ > 0)


def learn_bit(kernels: Floats, left: Floats) -> Floats:
    """Return coefficients (m,) of a bit from kernels (n, m) and what is left to explain (n, n).

    The code h is to make h^T `left` h large. It starts from the best real-valued one, is refined
    in the smooth form, and the better of both is kept.
    """
    from scipy.linalg import eigh
    from scipy.optimize import minimize

    gram = kernels.T @ kernels
    ridge = 1e-6 * np.trace(gram) / len(gram) + 1e-12
    last = len(gram) - 1
    first = eigh(
        kernels.T @ left @ kernels, gram + ridge * np.eye(len(gram)), subset_by_index=[last, last]
    )[1][:, 0]
    first *= np.sqrt(len(kernels) / max(first @ gram @ first, 1e-12))
    smooth = minimize(smooth_loss, first, (kernels, left), "L-BFGS-B", jac=True).x
    gains = [code @ left @ code for code in (_signs(kernels @ a) for a in (first, smooth))]
    return np.asarray(smooth if gains[1] >= gains[0] else first)


def smooth_loss(coefficients: Floats, kernels: Floats, left: Floats) -> tuple[float, Floats]:
    """Return the smooth loss of a bit, -b^T `left` b with b = tanh(K a / 2), and its gradient."""
    soft = np.tanh(kernels @ coefficients / 2)
    pull = left @ soft
    return -float(soft @ pull), -kernels.T @ (pull * (1 - soft**2))


def _signs(values: Floats) -> Floats:
    return np.where(values > 0, 1.0, -1.0)
