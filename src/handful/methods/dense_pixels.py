"""What methods share that compare single pixels of dense features with those of a support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate, normalize

from handful.backbones import FeatureMaps
from handful.errors import InputError
from handful.methods.dense_features import encode_layers, finest_first
from handful.methods.segmenter import CUT, VOID, Features, Image, Mask

STRIDES = (16, 32)
"""Of the maps that are joined where nobody names others."""


@dataclass(frozen=True)
class SupportPixels:
    """One class: the pixels that show the object, and those that do not.

    Attributes
    ----------
    object, ground : Tensor
        (n, C) float16, shot by shot, row by row.
    place : Tensor
        (object + ground,) int64: the place of each among all known pixels, those of the object
        first; it tells which of two comes first.
    """

    object: Tensor
    ground: Tensor
    place: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it under flat names, as safetensors keeps it."""
        return {"object": self.object, "ground": self.ground, "place": self.place}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> SupportPixels:
        """Return the pixels whose `tensors` these are."""
        if tensors.keys() != {"object", "ground", "place"}:
            raise InputError("pixels of a support with other parts than theirs; fit again")
        return cls(**tensors)


class DensePixels:
    """The encoding half of a method that knows a photo by its joined maps.

    Parameters
    ----------
    backbone : FeatureMaps
        With its weights loaded.
    name : str
        The name under which results quote it.
    layers : sequence of str, optional
        Maps of the backbone; all come to the grid of the finest. By default those of `STRIDES`.
    threshold : float
        Presence at or above which the class is said to be there.
    """

    def __init__(
        self,
        backbone: FeatureMaps,
        name: str,
        layers: Sequence[str] | None = None,
        threshold: float = 0.5,
    ) -> None:
        self.network = backbone
        self.name = name
        self.backbone = backbone.name
        self.layers = chosen_layers(backbone, layers)
        self.threshold = threshold

    def encode(self, images: Sequence[Image]) -> list[dict[str, Tensor]]:
        """Return the maps of photos, (channels, h, w) in half precision on the CPU."""
        return encode_layers(self.network, images, self.layers)

    def _pixels(self, features: Features) -> Tensor:
        """Return the joined maps of a photo, (channels, h, w)."""
        return joined([features[layer][None] for layer in self.layers])[0]


def chosen_layers(backbone: FeatureMaps, layers: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return maps of a backbone, the finest first; where none are named, those of `STRIDES`.

    Raises
    ------
    InputError
        The backbone has no such maps.

    Examples
    --------
    >>> from handful.backbones import build
    >>> chosen_layers(build("handful-base"))
    ('stride16', 'stride32')
    """
    strides = backbone.strides
    if layers is None:
        first = {stride: name for name, stride in reversed(strides.items())}
        layers = [first[stride] for stride in STRIDES if stride in first] or list(strides)[-1:]
    return finest_first(backbone, layers)


def joined(maps: Sequence[Tensor]) -> Tensor:
    """Put maps (N, C_i, h_i, w_i) together on the grid of the first, each pixel of unit length.

    Examples
    --------
    >>> joined([torch.ones(1, 4, 6, 6), torch.ones(1, 2, 3, 3)])[0, :, 0, 0]
    tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.7071, 0.7071])
    """
    units = [normalize(found.float(), dim=1) for found in maps]
    return torch.cat([resized(found, units[0]) for found in units], 1)


def resized(maps: Tensor, like: Tensor) -> Tensor:
    """Bring maps (N, C, h, w) to the grid of others, bilinearly."""
    if maps.shape[2:] == like.shape[2:]:
        return maps
    return interpolate(maps, like.shape[2:], mode="bilinear", align_corners=False)


def cells(mask: Mask, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bring a mask to the grid of a map: of which cells the object has half, and which are known.

    An object that has half of no cell has the one of which it covers most; a cell of which more
    than half is void is not known.

    Parameters
    ----------
    mask : ndarray
        (H, W) uint8: 1 the object, 0 not, 255 void.
    size : tuple of int
        (h, w).

    Returns
    -------
    object, known : Tensor
        (h, w) bool; what is of the object is known.

    Examples
    --------
    >>> mask = np.zeros((4, 4), np.uint8)
    >>> mask[0, 0], mask[2:, 2:] = 1, 255
    >>> [found.int().tolist() for found in cells(mask, (2, 2))]
    [[[1, 0], [0, 0]], [[1, 1], [1, 0]]]
    """
    sides = np.stack([mask == 1, mask != VOID]).astype(np.float32)
    share, known = adaptive_avg_pool2d(torch.from_numpy(sides), size)
    there = share >= CUT * known.clamp(min=1e-6)
    shown = there & (known >= CUT)
    if share.any() and not shown.any():
        shown = share == share.max()
    return shown, (known >= CUT) | shown


def support_pixels(maps: Sequence[Tensor], masks: Sequence[Mask]) -> SupportPixels:
    """Part the pixels of maps (C, h, w), one a shot, into object and ground.

    Examples
    --------
    >>> mask = np.array([[1, 0], [0, 0]], np.uint8)
    >>> found = support_pixels([torch.arange(4.0).view(1, 2, 2)], [mask])
    >>> found.object.tolist(), found.ground.tolist(), found.place.tolist()
    ([[0.0]], [[1.0], [2.0], [3.0]], [0, 1, 2, 3])
    """
    pixels, labels = [], []
    for found, mask in zip(maps, masks, strict=True):
        shown, known = cells(mask, (found.shape[1], found.shape[2]))
        pixels.append(found.flatten(1).mT[known.flatten()])
        labels.append(shown[known])
    every, label = torch.cat(pixels).half(), torch.cat(labels)
    place = torch.cat([label.nonzero()[:, 0], (~label).nonzero()[:, 0]])
    return SupportPixels(every[label], every[~label], place)
