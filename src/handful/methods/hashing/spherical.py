"""Spherical hashing: a bit says whether an image lies within a ball.

J.-P. Heo, Y. Lee, J. He, S.-F. Chang, S.-E. Yoon, "Spherical hashing", CVPR 2012: equation 2 is
the hash function, 3 and 4 what is to hold, algorithm 1 how it is reached. Codes are compared by
plain Hamming distance here, as all others are, not by the paper's spherical one.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from handful.methods.hashing.base import Bits, Floats, Hasher, unlabelled
from handful.methods.hashing.kernel import squared_distances


class SphericalHashing(Hasher):
    """Balls that hold half of the data each, and a quarter in each pair.

    Parameters
    ----------
    n_bits, seed : int
        See `Hasher`.
    examples : int
        Features at most that are learned from; drawn where there are more.
    mean_tolerance, spread_tolerance : float
        How far overlaps may be from a quarter in the mean, and how they may vary, as shares of a
        quarter: the paper's.
    iterations : int
        At most.
    """

    name = "spherical"

    def __init__(
        self,
        n_bits: int = 16,
        seed: int = 0,
        examples: int = 10_000,
        mean_tolerance: float = 0.1,
        spread_tolerance: float = 0.15,
        iterations: int = 100,
    ) -> None:
        super().__init__(n_bits, seed)
        self.examples = examples
        self.mean_tolerance = mean_tolerance
        self.spread_tolerance = spread_tolerance
        self.iterations = iterations

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D); labels are not looked at."""
        rows = unlabelled(features)
        rng = np.random.default_rng(self.seed)
        rows = rows[np.sort(rng.permutation(len(rows))[: self.examples])]
        # each pivot starts as the mean of a few points, so that it lies inside
        few = rng.integers(0, len(rows), (self.n_bits, 5))
        pivots = rows[few].mean(1)
        quarter = len(rows) / 4
        pairs = np.triu_indices(self.n_bits, 1)
        for _ in range(self.iterations):
            inside = self._place(rows, pivots).astype(np.float64)
            overlap = inside.T @ inside
            if self._settled(overlap[pairs], quarter):
                break
            force = (overlap - quarter) / quarter / 2
            np.fill_diagonal(force, 0)
            # the sum over j of force_ij (p_i - p_j), over the number of balls
            moved = force.sum(1)[:, None] * pivots - force @ pivots
            pivots = pivots + moved / self.n_bits
        self._place(rows, pivots)
        return self

    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""
        return np.asarray(squared_distances(features, self.pivots_) <= self.radii_)

    def _place(self, rows: Floats, pivots: Floats) -> Bits:
        """Set the balls, each as large as holds half of the rows, and say what lies in them."""
        distances = squared_distances(rows, pivots)
        self.pivots_: Floats = pivots
        self.radii_: Floats = np.median(distances, axis=0)
        return np.asarray(distances <= self.radii_)

    def _settled(self, overlap: Floats, quarter: float) -> bool:
        if not len(overlap):
            return True
        mean, spread = np.abs(overlap - quarter).mean(), overlap.std()
        return bool(
            mean <= self.mean_tolerance * quarter and spread <= self.spread_tolerance * quarter
        )
