"""Supervised discrete hashing: codes from which a linear classifier reads the class.

F. Shen, C. Shen, W. Liu, H. T. Shen, "Supervised discrete hashing", CVPR 2015. With codes B (n, K)
in {-1, 1}, classes Y (n, C) as one-hot rows, a classifier W and hash functions F(x) = P^T phi(x),

    |Y - B W|^2 + lambda |W|^2 + nu |B - F(X)|^2                                 (equation 3)

is minimised in turn over P (equation 6), W (equation 7) and B, bit by bit (equation 11).
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from handful.methods.hashing.base import Bits, Floats, Hasher, labelled
from handful.methods.hashing.kernel import Anchors, draw_anchors


class SDH(Hasher):
    """Codes learned as codes, not as rounded numbers.

    Parameters
    ----------
    n_bits, seed : int
        See `Hasher`.
    anchors : int
        Kernels at most.
    iterations : int
        Rounds of the three steps.
    regularisation, fit_weight : float
        lambda and nu above; the paper's.
    sweeps : int
        Passes over the bits within the step of the codes, at most.
    """

    name = "sdh"
    supervised = True
    projection_: Floats

    def __init__(
        self,
        n_bits: int = 16,
        seed: int = 0,
        anchors: int = 1000,
        iterations: int = 5,
        regularisation: float = 1.0,
        fit_weight: float = 1e-5,
        sweeps: int = 10,
    ) -> None:
        super().__init__(n_bits, seed)
        self.anchors = anchors
        self.iterations = iterations
        self.regularisation = regularisation
        self.fit_weight = fit_weight
        self.sweeps = sweeps

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D) and the class of each, (N,)."""
        rows, number = labelled(features, labels, self.name)
        rng = np.random.default_rng(self.seed)
        self.kernel_: Anchors = draw_anchors(rows, self.anchors, rng)
        kernels = self.kernel_(rows)
        truth = np.eye(number.max() + 1)[number]
        codes = np.where(rng.standard_normal((len(rows), self.n_bits)) > 0, 1.0, -1.0)
        gram = kernels.T @ kernels
        gram += (1e-6 * np.trace(gram) / len(gram) + 1e-12) * np.eye(len(gram))
        for _ in range(self.iterations):
            self.projection_ = np.asarray(np.linalg.solve(gram, kernels.T @ codes))
            classifier = classify(codes, truth, self.regularisation)
            wanted = truth @ classifier.T + self.fit_weight * kernels @ self.projection_
            codes = discrete_step(codes, classifier, wanted, self.sweeps)
        self.projection_ = np.asarray(np.linalg.solve(gram, kernels.T @ codes))
        return self

    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""
        return np.asarray(self.kernel_(features) @ self.projection_ > 0)


def classify(codes: Floats, truth: Floats, regularisation: float) -> Floats:
    """Return W (K, C), the ridge regression of the classes on the codes (equation 7)."""
    gram = codes.T @ codes + regularisation * np.eye(codes.shape[1])
    return np.asarray(np.linalg.solve(gram, codes.T @ truth))


def discrete_step(codes: Floats, classifier: Floats, wanted: Floats, sweeps: int = 10) -> Floats:
    """Minimise |B W|^2 - 2 tr(B Q^T) over codes B, one bit at a time (equations 8 to 11).

    Parameters
    ----------
    codes : ndarray
        B (n, K) in {-1, 1}, where to start.
    classifier : ndarray
        W (K, C).
    wanted : ndarray
        Q (n, K), which is Y W^T + nu F(X).
    sweeps : int
        Passes over the bits, at most; it ends where a pass changes nothing.

    Returns
    -------
    ndarray
        (n, K) in {-1, 1}. Every bit is the best one while the others stay.
    """
    found = codes.copy()
    for _ in range(sweeps):
        before = found.copy()
        for bit in range(found.shape[1]):
            others = found @ classifier - np.outer(found[:, bit], classifier[bit])
            pull = wanted[:, bit] - others @ classifier[bit]
            found[:, bit] = np.where(pull == 0, found[:, bit], np.where(pull > 0, 1.0, -1.0))
        if np.array_equal(found, before):
            break
    return found
