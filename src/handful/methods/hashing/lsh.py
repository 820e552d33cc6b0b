"""Locality sensitive hashing: the signs of Gaussian projections.

M. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002, section 3: two
vectors at an angle of t differ in a bit with chance t / pi.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from handful.methods.hashing.base import LinearHasher, unlabelled


class LSH(LinearHasher):
    """Signs of random projections; the features say nothing but how many dimensions there are.

    Examples
    --------
    >>> LSH(n_bits=12).fit(np.eye(4)).transform(np.eye(4)).shape
    (4, 2)
    """

    name = "lsh"

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Draw a direction for each bit."""
        dimensions = unlabelled(features).shape[1]
        self.weights_ = self._rng().standard_normal((dimensions, self.n_bits))
        self.bias_ = np.zeros(self.n_bits)
        return self
