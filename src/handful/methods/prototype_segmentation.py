"""Segmentation without training: foreground against background prototypes on any backbone.

The prototypes are masked means of features, as in K. Wang et al., "PANet: few-shot image semantic
segmentation with prototype alignment", 2019, equations 1 and 2; a pixel belongs to the nearer one
by cosine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from handful.backbones import FeatureMaps
from handful.errors import InputError
from handful.methods.dense_features import (
    check_support,
    encode_layers,
    finest_first,
    presence_of,
    share_of,
)
from handful.methods.segmenter import Answer, Features, Image, Mask
from handful.similarity import cosine


@dataclass(frozen=True)
class PrototypePair:
    """One class: the prototypes of the object and of what surrounds it.

    Attributes
    ----------
    foreground, background : dict of str to Tensor
        Of every layer, (C,) of length one; zero where no shot shows any.
    """

    foreground: dict[str, Tensor]
    background: dict[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it under flat names, as safetensors keeps it."""
        flat = {f"foreground/{name}": value for name, value in self.foreground.items()}
        return flat | {f"background/{name}": value for name, value in self.background.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> PrototypePair:
        """Return the pair whose `tensors` these are."""
        parts: dict[str, dict[str, Tensor]] = {"foreground": {}, "background": {}}
        for key, value in tensors.items():
            part, _, name = key.partition("/")
            if part not in parts:
                raise InputError(f"{key}: is no part of a pair of prototypes; fit again")
            parts[part][name] = value
        return cls(**parts)


class PrototypeSegmentation:
    """Give every pixel the cosine to the object less the cosine to its surroundings.

    Parameters
    ----------
    backbone : FeatureMaps
        With its weights loaded.
    name : str
        The name under which results quote it.
    layers : sequence of str
        Maps of the backbone; several are averaged on the grid of the finest.
    margin : float
        What the difference of the cosines, in [-2, 2], must reach for a pixel to belong.
    scale : float
        Steepness: a mask is sigmoid(scale (difference - margin)).
    threshold : float
        Presence at or above which the class is said to be there.

    Examples
    --------
    >>> import numpy as np
    >>> from handful.backbones.handful_base import HandfulBase
    >>> method = PrototypeSegmentation(HandfulBase().load(), "prototypes:handful-base")
    >>> photo = np.zeros((64, 64, 3), np.uint8)
    >>> photo[16:48, 16:48] = (255, 160, 0)
    >>> features = method.encode([photo])
    >>> state = method.condition(features, [(photo[..., 0] > 0).astype(np.uint8)])
    >>> method.answer(features[0], [state]).masks.shape
    torch.Size([1, 4, 4])
    """

    def __init__(
        self,
        backbone: FeatureMaps,
        name: str,
        layers: Sequence[str] = ("stride16",),
        margin: float = 0.0,
        scale: float = 10.0,
        threshold: float = 0.5,
    ) -> None:
        self.network = backbone
        self.name = name
        self.backbone = backbone.name
        self.layers = finest_first(backbone, layers)
        self.margin = margin
        self.scale = scale
        self.threshold = threshold

    def encode(self, images: Sequence[Image]) -> list[dict[str, Tensor]]:
        """Return the maps of photos, (channels, h, w) in half precision on the CPU."""
        return encode_layers(self.network, images, self.layers)

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> PrototypePair:
        """Return the prototypes of one class, to which every shot contributes alike.

        Parameters
        ----------
        features : sequence of mapping
            Of each shot, what `encode` gave.
        masks : sequence of array
            (H, W) uint8, of any size: 1 the object, 0 not, 255 not counted. A mask without the
            object adds to the surroundings alone.

        Raises
        ------
        InputError
            Another number of masks than of photos, or no mask with the object.
        """
        check_support(features, masks)
        pair = PrototypePair({}, {})
        for layer in self.layers:
            sides: list[list[Tensor]] = [[], []]
            for found, mask in zip(features, masks, strict=True):
                unit = normalize(found[layer].float(), dim=0)
                for side, value in zip(sides, (1, 0), strict=True):
                    share = share_of(mask, value, (unit.shape[1], unit.shape[2]))
                    if share.any():
                        side.append(torch.einsum("chw,hw->c", unit, share) / share.sum())
            blank = unit.new_zeros(len(unit))
            for kept, side in zip((pair.foreground, pair.background), sides, strict=True):
                kept[layer] = normalize(torch.stack(side).mean(0), dim=0) if side else blank
        return pair

    def answer(self, query: Features, states: Sequence[PrototypePair]) -> Answer:
        """Segment one query by several classes, on the grid of the finest layer.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        states : sequence of PrototypePair
            What `condition` gave.
        """
        size = query[self.layers[0]].shape[1:]
        total = torch.zeros(len(states), *size)
        for layer in self.layers:
            pixels = query[layer].float()
            sides = [[s.foreground[layer] for s in states], [s.background[layer] for s in states]]
            near, far = (cosine(torch.stack(side), pixels.flatten(1).mT) for side in sides)
            difference = (near - far).reshape(1, len(states), *pixels.shape[1:])
            total += interpolate(difference, tuple(size), mode="bilinear", align_corners=True)[0]
        masks = (self.scale * (total / len(self.layers) - self.margin)).sigmoid()
        return Answer(masks, presence_of(masks))
