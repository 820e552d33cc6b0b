"""The modified Hausdorff distance between the ink of two drawings.

M.-P. Dubuisson, A. Jain, "A modified Hausdorff distance for object matching", ICPR 1994,
equations 6 and 8 (their d6 and f2):

    h(A, B) = mean over a in A of min over b in B of |a - b|        d = max(h(A, B), h(B, A))

on the coordinates of the ink pixels less their mean, as in Lake's baseline for Omniglot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from handful.images import ink
from handful.methods.calibration import Calibration
from handful.methods.matcher import Image


class ModifiedHausdorff:
    """Compare the shapes of two drawings, wherever on the page they stand.

    Parameters
    ----------
    size : int
        Side of the page on which ink is found, in pixels; 105 keeps Omniglot as it is.
    calibration : Calibration, optional
        How to read the negative distances as probabilities.

    Examples
    --------
    >>> page = np.full((2, 8, 8), 255, np.uint8)
    >>> page[0, 2, 2:6] = page[1, 6, 3:7] = 0
    >>> matcher = ModifiedHausdorff(size=8)
    >>> matcher.compare(*matcher.encode(page).split(1))  # the same stroke, elsewhere
    tensor([[-0.]])
    """

    name = "hausdorff"
    backbone = "none"

    def __init__(self, size: int = 105, calibration: Calibration | None = None) -> None:
        self.size = size
        self.calibration = calibration

    def encode(self, images: Sequence[Image]) -> Tensor:
        """Return pages (N, size, size): 1 where a pixel is ink, else 0."""
        pages = np.empty((len(images), self.size, self.size), np.float32)
        for page, image in zip(pages, images, strict=True):
            page[:] = ink(image, self.size) >= 0.5
        return torch.from_numpy(pages)

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """Return the negative distances (Q, S) between pages, in pixels.

        A page without ink is as far from any other as two pixels of a page can be.
        """
        first, second = [_tree(q) for q in query], [_tree(s) for s in support]
        farthest = float(np.hypot(*query.shape[1:]))
        return -torch.tensor([[_distance(a, b, farthest) for b in second] for a in first])

    def pool(self, support: Tensor) -> None:
        """Keep shots apart: the class of the nearest one wins."""


def _tree(page: Tensor) -> Any:
    ink_at: NDArray[np.float64] = np.argwhere(page.numpy() > 0).astype(np.float64)
    return KDTree(ink_at - ink_at.mean(0)) if len(ink_at) else None


def _distance(first: Any, second: Any, farthest: float) -> float:
    if first is None or second is None:
        return 0.0 if first is second else farthest
    there = second.query(first.data)[0].mean()
    back = first.query(second.data)[0].mean()
    return float(max(there, back))
