"""MSHNet behind the door of segmentation methods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.methods.dense_features import check_support, encode_maps, presence_of
from handful.methods.mshnet.blocks import Kind
from handful.methods.mshnet.inference import fused
from handful.methods.mshnet.network import MSHNet
from handful.methods.mshnet.support import SupportState
from handful.methods.segmenter import Answer, Features, Image, Mask

TRAINED_AT = 241
"""Side of the squares of the recipes, in pixels."""


class MSHNetSegmentation:
    """MSHNet as a `handful.methods.segmenter.SegmentationMethod`.

    Parameters
    ----------
    model : MSHNet
        With its own and its backbone's weights loaded.
    name : str
        The name under which results quote it.
    threshold : float
        Presence at or above which the class is said to be there.
    size : int
        Side of the squares that it was trained on, in pixels.

    Attributes
    ----------
    side : int
        Long side at which whole photos are best seen: at 4:3, as many pixels as it was trained on.

    Examples
    --------
    >>> import numpy as np
    >>> from handful.methods.mshnet import LIGHT
    >>> method = MSHNetSegmentation(MSHNet("handful-base", widths=LIGHT), "mshnet-light")
    >>> features = method.encode([np.zeros((64, 64, 3), np.uint8)])
    >>> state = method.condition(features, [np.ones((64, 64), np.uint8)])
    >>> method.answer(features[0], [state, state]).masks.shape
    torch.Size([2, 16, 16])
    """

    def __init__(
        self, model: MSHNet, name: str, threshold: float = 0.5, size: int = TRAINED_AT
    ) -> None:
        self.model = fused(model)
        self.side = round(size * 2 / 3**0.5)
        self.name = name
        self.backbone = model.backbone.name
        self.threshold = threshold

    def encode(self, images: Sequence[Image]) -> list[dict[str, Tensor]]:
        """Return the maps of photos, (channels, h, w) in half precision on the CPU."""
        return encode_maps(self.model.backbone, images, self.model.features)

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> SupportState:
        """Condense the shots of one class; those whose mask does not show it are left out.

        Parameters
        ----------
        features : sequence of mapping
            Of each shot, what `encode` gave; their sizes may differ.
        masks : sequence of array
            (H, W) uint8, of any size: 1 the object, anything else not.

        Raises
        ------
        InputError
            Another number of masks than of photos, or no mask with the object.
        """
        check_support(features, masks)
        states = [
            self.model.support_state(
                {name: value[None] for name, value in found.items()},
                torch.from_numpy(mask == 1)[None],
            )
            for found, mask in zip(features, masks, strict=True)
            if (mask == 1).any()
        ]
        return SupportState.join(states)

    @torch.inference_mode()
    def answer(self, query: Features, states: Sequence[SupportState]) -> Answer:
        """Segment one query by several classes, at twice the grid of stride 8.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        states : sequence of SupportState
            What `condition` gave.
        """
        device = next(self.model.head.parameters()).device
        maps = {name: value[None].to(device) for name, value in query.items()}
        masks = self.model(maps, [state.to(device) for state in states]).masks.float().cpu()
        return Answer(masks, presence_of(masks))

    @torch.inference_mode()
    def energy(
        self, query: Features, state: SupportState
    ) -> dict[Kind, dict[int, NDArray[np.float32]]]:
        """Return the mean similarity of each block, see `MSHNet.energy`.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        state : SupportState
            What `condition` gave.
        """
        device = next(self.model.head.parameters()).device
        maps = {name: value[None].to(device) for name, value in query.items()}
        return self.model.energy(maps, state.to(device))
