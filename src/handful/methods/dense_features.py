"""What segmentation methods on a backbone share: photos to maps, masks to presence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from handful.backbones import FeatureMaps
from handful.errors import InputError
from handful.methods.segmenter import Features, Image, Mask

# more at once is slower on a CPU: maps of early layers leave the cache
BATCH = 4

# presence is read from this share of the cells: an object covers at least that much
SUREST = 1 / 64


def encode_maps(
    backbone: FeatureMaps,
    images: Sequence[Image],
    run: Callable[[Tensor], dict[str, Tensor]],
) -> list[dict[str, Tensor]]:
    """Return the maps of photos, each at its own size, in half precision on the CPU.

    Parameters
    ----------
    backbone : FeatureMaps
        Says how pixels are normalised, and where it is.
    images : sequence of array
        (H, W, 3) uint8; neighbours of one size run together.
    run : callable
        Normalised pixels (N, 3, H, W) to named maps (N, channels, h, w).

    Examples
    --------
    >>> from handful.backbones.handful_base import HandfulBase
    >>> network = HandfulBase()
    >>> photo = np.zeros((64, 96, 3), np.uint8)
    >>> [found["stride16"].shape for found in encode_maps(network, [photo], network)]
    [torch.Size([96, 4, 6])]
    """
    device = next(backbone.parameters()).device
    mean = torch.tensor(backbone.mean, device=device)[:, None, None] * 255
    factor = 1 / (torch.tensor(backbone.std, device=device)[:, None, None] * 255)
    encoded: list[dict[str, Tensor]] = []
    for _, neighbours in groupby(images, key=lambda image: image.shape):
        group = list(neighbours)
        for start in range(0, len(group), BATCH):
            stacked = np.stack(group[start : start + BATCH])
            pixels = torch.from_numpy(stacked).to(device).permute(0, 3, 1, 2)
            with torch.inference_mode():
                maps = run((pixels - mean) * factor)
                halves = {name: found.half().cpu() for name, found in maps.items()}
            encoded += [
                {name: found[n].clone() for name, found in halves.items()}
                for n in range(len(stacked))
            ]
    return encoded


def encode_layers(
    backbone: FeatureMaps, images: Sequence[Image], layers: Sequence[str]
) -> list[dict[str, Tensor]]:
    """Return some maps of a backbone as they are, see `encode_maps`.

    Examples
    --------
    >>> from handful.backbones.handful_base import HandfulBase
    >>> photo = np.zeros((64, 96, 3), np.uint8)
    >>> [list(found) for found in encode_layers(HandfulBase(), [photo], ["stride32"])]
    [['stride32']]
    """

    def run(pixels: Tensor) -> dict[str, Tensor]:
        maps = backbone(pixels)
        return {layer: maps[layer] for layer in layers}

    return encode_maps(backbone, images, run)


def share_of(mask: Mask, value: int, size: tuple[int, int]) -> Tensor:
    """Return which share of each cell of a grid (h, w) has a value in a mask.

    Examples
    --------
    >>> share_of(np.array([[1, 0, 1, 1], [0, 0, 1, 1]], np.uint8), 1, (1, 2))
    tensor([[0.2500, 1.0000]])
    """
    of_value = torch.from_numpy(mask == value).float()
    return adaptive_avg_pool2d(of_value[None], size)[0]


def presence_of(masks: Tensor) -> Tensor:
    """Return how sure a method is that a class is there: the mean of the surest cells.

    Parameters
    ----------
    masks : Tensor
        Soft masks (classes, h, w) in [0, 1].

    Returns
    -------
    Tensor
        (classes,) in [0, 1].

    Examples
    --------
    >>> presence_of(torch.eye(8).expand(2, 8, 8))
    tensor([1., 1.])
    """
    cells = masks.flatten(1)
    surest: Tensor = cells.topk(max(1, round(cells.shape[1] * SUREST)), dim=1).values
    return surest.mean(1)


def finest_first(backbone: FeatureMaps, layers: Sequence[str]) -> tuple[str, ...]:
    """Return maps of a backbone by their stride.

    Raises
    ------
    InputError
        None are named, or one that the backbone does not have.

    Examples
    --------
    >>> from handful.backbones import build
    >>> finest_first(build("handful-base"), ["stride32", "stride16"])
    ('stride16', 'stride32')
    """
    strides = backbone.strides
    unknown = [layer for layer in layers if layer not in strides]
    if unknown or not layers:
        raise InputError(
            f"{backbone.name}: has no map {', '.join(unknown) or 'to stand on'};"
            f" there are {', '.join(strides)}"
        )
    return tuple(sorted(layers, key=lambda layer: strides[layer]))


def check_support(features: Sequence[Features], masks: Sequence[Mask]) -> None:
    """Refuse shots without a mask each, and masks that show nothing.

    Raises
    ------
    InputError
        Another number of masks than of photos, or no mask with the object.
    """
    if len(features) != len(masks):
        raise InputError(f"{len(masks)} masks for {len(features)} photos: give each its own")
    if not any((mask == 1).any() for mask in masks):
        raise InputError("no mask shows the object: mark it in at least one example")
