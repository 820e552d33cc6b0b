"""Colour histograms: how much of each colour is in a photo, and nothing of where.

M. Swain, D. Ballard, "Color indexing", 1991. Square roots of the shares are unit vectors, and
their cosine is the Bhattacharyya coefficient of two histograms. What is learned has to beat this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from handful.methods.calibration import Calibration
from handful.methods.matcher import Image
from handful.similarity import cosine

_BITS = 3
_BINS = 1 << 3 * _BITS


class ColourHistogram:
    """Compare photos by their joint histogram of 8 x 8 x 8 colours.

    Parameters
    ----------
    calibration : Calibration, optional
        How to read its cosines as probabilities.

    Examples
    --------
    >>> red = np.zeros((2, 2, 3), np.uint8)
    >>> red[..., 0] = 200
    >>> half = red.copy()
    >>> half[0] = 0
    >>> matcher = ColourHistogram()
    >>> features = matcher.encode([red, half])
    >>> matcher.compare(features, features)
    tensor([[1.0000, 0.7071],
            [0.7071, 1.0000]])
    """

    name = "colour-histogram"
    backbone = "none"
    batched = True

    def __init__(self, calibration: Calibration | None = None) -> None:
        self.calibration = calibration

    def encode(self, images: Sequence[Image]) -> Tensor:
        """Return the square roots of the shares of colours, unit vectors (N, 512)."""
        shares = np.empty((len(images), _BINS), np.float32)
        for row, image in zip(shares, images, strict=True):
            colours = image if image.ndim == 3 else np.repeat(image[..., None], 3, 2)
            level = colours.reshape(-1, 3).astype(np.int64) >> 8 - _BITS
            place = (level[:, 0] << 2 * _BITS) + (level[:, 1] << _BITS) + level[:, 2]
            row[:] = np.bincount(place, minlength=_BINS) / len(place)
        return torch.from_numpy(np.sqrt(shares))

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """Return the Bhattacharyya coefficients (..., Q, S) in [0, 1]."""
        return cosine(query, support)

    def pool(self, support: Tensor) -> Tensor:
        """Return the unit mean of the shots, (..., shots, D) -> (..., D)."""
        return normalize(torch.mean(support, dim=-2), dim=-1)
