"""Binary autoencoder: hash functions whose codes a linear decoder turns back into the features.

M. Carreira-Perpiñán, R. Raziperchikolaei, "Hashing with binary autoencoders", CVPR 2015: with
auxiliary codes Z, sum_n |x_n - f(z_n)|^2 + mu |z_n - h(x_n)|^2 (equation 3) is minimised in turn
over the decoder f, the hash functions h (a linear SVM a bit), and Z, while mu grows.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from handful.methods.hashing.base import Bits, Floats, LinearHasher, unlabelled
from handful.methods.hashing.itq import PCAITQ


class BinaryAutoencoder(LinearHasher):
    """Learned by the method of auxiliary coordinates, from the codes of PCA-ITQ on.

    Parameters
    ----------
    n_bits, seed : int
        See `Hasher`.
    examples : int
        Features at most that are learned from; drawn where there are more.
    penalties : tuple of float
        mu, as shares of the features' mean squared distance from their centre over the bits.

    Attributes
    ----------
    errors_ : list of float
        The mean squared error of decoding h(x): at the start, and after each mu.
    """

    name = "binary-autoencoder"

    def __init__(
        self,
        n_bits: int = 16,
        seed: int = 0,
        examples: int = 3000,
        penalties: tuple[float, ...] = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28),
    ) -> None:
        super().__init__(n_bits, seed)
        self.examples = examples
        self.penalties = penalties

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D); labels are not looked at."""
        rows = unlabelled(features)
        rows = rows[np.sort(self._rng().permutation(len(rows))[: self.examples])]
        start = PCAITQ(self.n_bits, self.seed).fit(rows)
        self.random_bits_ = start.random_bits_
        best = self.weights_, self.bias_ = start.weights_, start.bias_
        codes = self.bits(rows)
        self.errors_ = [decoding_error(rows, codes)]
        unit = float(((rows - rows.mean(0)) ** 2).sum(1).mean()) / self.n_bits
        for penalty in self.penalties:
            decoder, offset = decode(rows, codes)
            hashed = self.bits(rows)
            codes = encode(codes, hashed, decoder, rows - offset, penalty * unit)
            self._separate(rows, codes)
            self.errors_.append(decoding_error(rows, self.bits(rows)))
            if self.errors_[-1] <= min(self.errors_):
                best = self.weights_, self.bias_
            if np.array_equal(codes, self.bits(rows)):
                break
        self.weights_, self.bias_ = best
        return self

    def _separate(self, rows: Floats, codes: Bits) -> None:
        """Fit h to the codes: a linear SVM a bit; a bit that is always the same stays as it was."""
        from sklearn.svm import LinearSVC

        centre, spread = rows.mean(0), float(rows.std()) or 1.0
        machine = LinearSVC(C=1.0, dual=False, tol=1e-2, max_iter=2000, random_state=0)
        weights, bias = self.weights_.copy(), self.bias_.copy()
        for bit, code in enumerate(codes.T):
            if code.all() or not code.any():
                continue
            machine.fit((rows - centre) / spread, code)
            weights[:, bit] = machine.coef_[0] / spread
            bias[bit] = machine.intercept_[0] - centre @ weights[:, bit]
        self.weights_, self.bias_ = weights, bias


def decode(rows: Floats, codes: Bits) -> tuple[Floats, Floats]:
    """Return the linear decoder (k, D) and its offset (D,) with the least squared error."""
    values = codes.astype(np.float64)
    centre = values.mean(0)
    decoder = np.linalg.lstsq(values - centre, rows - rows.mean(0), rcond=1e-9)[0]
    return decoder, rows.mean(0) - centre @ decoder


def decoding_error(rows: Floats, codes: Bits) -> float:
    """Return the mean squared error of the best linear decoder."""
    decoder, offset = decode(rows, codes)
    return float(((rows - offset - codes @ decoder) ** 2).sum(1).mean())


def encode(
    codes: Bits, hashed: Bits, decoder: Floats, wanted: Floats, penalty: float, sweeps: int = 20
) -> Bits:
    """Lower |wanted - z A|^2 + mu |z - h|^2 for each row of codes, one bit at a time.

    Parameters
    ----------
    codes : ndarray
        (n, k), where to start.
    hashed : ndarray
        h(x), (n, k).
    decoder : ndarray
        A (k, D).
    wanted : ndarray
        The features less the decoder's offset, (n, D).
    penalty : float
        mu.
    sweeps : int
        Passes over the bits, at most.

    Returns
    -------
    ndarray
        (n, k): no single bit can be changed for the better.
    """
    gram = decoder @ decoder.T
    pull = wanted @ decoder.T + penalty * (hashed - 0.5)
    found = codes.astype(np.float64)
    for _ in range(sweeps):
        before = found.copy()
        for bit in range(found.shape[1]):
            others = found @ gram[bit] - found[:, bit] * gram[bit, bit]
            # what a 1 gains over a 0
            gain = 2 * (pull[:, bit] - others) - gram[bit, bit]
            found[:, bit] = np.where(gain == 0, found[:, bit], gain > 0)
        if np.array_equal(found, before):
            break
    return found > 0.5
