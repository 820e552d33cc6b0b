"""1-NN on dense features: every pixel takes the label of the nearest pixel of the support.

A baseline of A. Shaban et al., "One-shot learning for semantic segmentation", 2017, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from handful.methods.dense_features import check_support, presence_of
from handful.methods.dense_pixels import (
    DensePixels,
    SupportPixels,
    support_pixels,
)
from handful.methods.segmenter import Answer, Features, Mask
from handful.similarity import nearest_cosine

SCALE = 10.0
"""Steepness: a mask is sigmoid(SCALE (cosine to the object - cosine to the ground))."""


class DenseNearest(DensePixels):
    """Give every pixel the label of its nearest support pixel, by the cosine of joined maps.

    Parameters
    ----------
    backbone, name, layers, threshold
        See :class:`handful.methods.dense_pixels.DensePixels`.

    Examples
    --------
    >>> import numpy as np
    >>> from handful.backbones.handful_base import HandfulBase
    >>> method = DenseNearest(HandfulBase().load(), "dense-nearest:handful-base")
    >>> photo = np.zeros((64, 64, 3), np.uint8)
    >>> photo[16:48, 16:48] = (255, 160, 0)
    >>> mask = (photo[..., 0] > 0).astype(np.uint8)
    >>> features = method.encode([photo])
    >>> found = method.answer(features[0], [method.condition(features, [mask])])
    >>> (found.masks[0] >= 0.5).int().tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> SupportPixels:
        """Keep the pixels of every shot, of unit length.

        Parameters
        ----------
        features : sequence of mapping
            Of each shot, what `encode` gave.
        masks : sequence of array
            (H, W) uint8, of any size: 1 the object, 0 not, 255 not counted.

        Raises
        ------
        InputError
            Another number of masks than of photos, or no mask with the object.
        """
        check_support(features, masks)
        return support_pixels([self._pixels(found) for found in features], masks)

    def answer(self, query: Features, states: Sequence[SupportPixels]) -> Answer:
        """Segment one query by several classes, on the grid of the finest map.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        states : sequence of SupportPixels
            What `condition` gave.
        """
        pixels = self._pixels(query)
        flat = pixels.flatten(1).mT
        margins = [nearest_cosine(flat, s.object) - nearest_cosine(flat, s.ground) for s in states]
        masks = (SCALE * torch.stack(margins)).sigmoid().view(len(states), *pixels.shape[1:])
        return Answer(masks, presence_of(masks))

    def _pixels(self, features: Features) -> Tensor:
        return normalize(super()._pixels(features), dim=0)
