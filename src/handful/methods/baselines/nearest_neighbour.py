"""Nearest neighbour of pixels: the query takes the class of the closest support image.

The baseline of Koch, Zemel and Salakhutdinov, "Siamese neural networks for one-shot image
recognition" (2015), section 4.3: the Euclidean distance between the ink of two images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from handful.images import ink
from handful.methods.calibration import Calibration
from handful.methods.matcher import Image


class NearestNeighbour:
    """Compare images pixel by pixel.

    Parameters
    ----------
    size : int
        Side of the ink map that is compared, in pixels; 105 keeps Omniglot as it is.
    calibration : Calibration, optional
        How to read the negative distances as probabilities.

    Examples
    --------
    >>> page = np.full((2, 8, 8), 255, np.uint8)
    >>> page[0, 2, 2:5] = page[1, 2, 2:4] = 0
    >>> matcher = NearestNeighbour(size=8)
    >>> matcher.compare(matcher.encode(page[:1]), matcher.encode(page))
    tensor([[-0., -1.]])
    """

    name = "nearest-neighbour"
    backbone = "none"
    batched = True

    def __init__(self, size: int = 105, calibration: Calibration | None = None) -> None:
        self.size = size
        self.calibration = calibration

    def encode(self, images: Sequence[Image]) -> Tensor:
        """Return ink maps in a row, (N, size * size) in [0, 1]."""
        maps = np.empty((len(images), self.size * self.size), np.float32)
        for row, image in zip(maps, images, strict=True):
            row[:] = ink(image, self.size).reshape(-1)
        return torch.from_numpy(maps)

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """Return the negative Euclidean distances (..., Q, S)."""
        # the shortcut by a matrix product loses the digits that tell near neighbours apart
        return -torch.cdist(query, support, compute_mode="donot_use_mm_for_euclid_dist")

    def pool(self, support: Tensor) -> None:
        """Keep shots apart: the class of the nearest one wins."""
