"""Ten crops of a photo, and the mean of their features, as seed papers of 2012 to 2017 have it.

A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural
networks", NIPS 2012, section 4.1: the four corners and the middle, and their mirror images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn.functional import normalize

from handful.methods.matcher import Image, Matcher

SHARE = 224 / 256
"""The sides of a crop, as a share of the photo's."""


class TenCrops:
    """A method whose features are means over ten crops.

    Parameters
    ----------
    matcher : Matcher
        Encodes photos as vectors.
    """

    batched = True

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.name = f"{matcher.name}, ten crops"
        self.backbone = matcher.backbone

    def encode(self, images: Sequence[Image]) -> Tensor:
        """Return unit vectors (N, D), float32: the mean of ten unit vectors, in unit length."""
        crops = [crop for image in images for crop in ten_crops(image)]
        features = normalize(self.matcher.encode(crops), dim=-1)
        return normalize(features.reshape(len(images), 10, -1).mean(1), dim=-1)

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """Return the method's own scores (Q, S)."""
        return self.matcher.compare(query, support)

    def pool(self, support: Tensor) -> Tensor | None:
        """Return the method's own prototypes."""
        return self.matcher.pool(support)


def ten_crops(image: Image) -> list[Image]:
    """Cut the corners, the middle and their mirror images out of a photo.

    Examples
    --------
    >>> [crop.shape for crop in ten_crops(np.zeros((16, 32, 3), np.uint8))][:2]
    [(14, 28, 3), (14, 28, 3)]
    """
    height, width = (max(1, round(SHARE * side)) for side in image.shape[:2])
    down, right = image.shape[0] - height, image.shape[1] - width
    starts = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    crops = [image[top : top + height, left : left + width] for top, left in starts]
    return [*crops, *(np.ascontiguousarray(crop[:, ::-1]) for crop in crops)]
