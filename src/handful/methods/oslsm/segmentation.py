"""OSLSM behind the door of segmentation methods."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from handful.data.segmentation.photos import resized_mask
from handful.methods.dense_features import check_support, encode_maps, presence_of
from handful.methods.oslsm.network import OSLSM
from handful.methods.oslsm.support import PixelClassifiers
from handful.methods.segmenter import Answer, Features, Image, Mask

DENSE, PIXELS = "dense", "pixels"


class OSLSMSegmentation:
    """OSLSM as a `handful.methods.segmenter.SegmentationMethod`.

    Parameters
    ----------
    model : OSLSM
        With its own and its backbone's weights loaded.
    name : str
        The name under which results quote it.
    threshold : float
        Presence at or above which the class is said to be there.

    Examples
    --------
    >>> import numpy as np
    >>> model = OSLSM("handful-base", outputs=16, width=64)
    >>> method = OSLSMSegmentation(model, "oslsm:handful-base")
    >>> features = method.encode([np.zeros((64, 64, 3), np.uint8)])
    >>> state = method.condition(features, [np.ones((64, 64), np.uint8)])
    >>> method.answer(features[0], [state, state]).masks.shape
    torch.Size([2, 64, 64])
    """

    def __init__(self, model: OSLSM, name: str, threshold: float = 0.5) -> None:
        self.model = model.eval()
        self.name = name
        self.backbone = model.backbone.name
        self.threshold = threshold

    def encode(self, images: Sequence[Image]) -> list[dict[str, Tensor]]:
        """Return the features of each pixel, and the pixels, which a support is made of.

        Returns
        -------
        list of dict
            ``dense`` (d, h, w) in half precision, and ``pixels`` (3, H, W) uint8; on the CPU.
        """

        def run(pixels: Tensor) -> dict[str, Tensor]:
            return {DENSE: self.model.dense(self.model.features(pixels))}

        encoded = encode_maps(self.model.backbone, images, run)
        return [
            found | {PIXELS: torch.from_numpy(image.transpose(2, 0, 1).copy())}
            for found, image in zip(encoded, images, strict=True)
        ]

    @torch.inference_mode()
    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> PixelClassifiers:
        """Return the classifier of each shot; those whose mask does not show it are left out.

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
            self._classifier(found[PIXELS], mask)
            for found, mask in zip(features, masks, strict=True)
            if (mask == 1).any()
        ]
        return PixelClassifiers.join(states)

    def _classifier(self, pixels: Tensor, mask: Mask) -> PixelClassifiers:
        size = int(pixels.shape[1]), int(pixels.shape[2])
        seen = resized_mask((mask == 1).astype("uint8"), size)
        if not seen.any():
            # an object between the grid's points: the photo grows to its mask instead
            grown = torch.nn.functional.interpolate(pixels[None].float(), mask.shape)
            pixels, seen = grown[0], mask
        network = self.model.backbone
        device = next(network.parameters()).device
        mean, spread = (
            torch.tensor(x, device=device)[:, None, None] * 255 for x in (network.mean, network.std)
        )
        normalised = (pixels.to(device) - mean) / spread
        shown = torch.from_numpy(seen == 1).to(device)
        found = self.model.condition(normalised[None], shown[None])
        return PixelClassifiers(found.weight.cpu(), found.bias.cpu())

    @torch.inference_mode()
    def answer(self, query: Features, states: Sequence[PixelClassifiers]) -> Answer:
        """Segment one query by several classes, at the size of its picture.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        states : sequence of PixelClassifiers
            What `condition` gave.
        """
        height, width = query[PIXELS].shape[1:]
        dense = query[DENSE].float()
        masks = torch.stack([s.logits(dense, (height, width)) for s in states]).sigmoid()
        return Answer(masks, presence_of(masks))
