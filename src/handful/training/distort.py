"""Random distortions of drawings: what another hand would have done to the same character.

All take and return ink (N, 1, S, S) in [0, 1], strokes 1 on 0, and draw from a generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import ConfigDict
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate, max_pool2d


def koch_affine(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Distort as Koch's paper does: every part with probability one half.

    Rotation by up to 10 degrees, shear by up to .3, each scale in [.8, 1.2], each shift by up to
    2 of 105 pixels (G. Koch et al., 2015, section 3.2).
    """
    n, size = len(ink), ink.shape[-1]

    def part(low: float, high: float, neutral: float) -> Tensor:
        value = torch.empty(n).uniform_(low, high, generator=generator)
        use = torch.rand(n, generator=generator) < 0.5
        return torch.where(use, value, torch.full_like(value, neutral))

    angle = part(-10, 10, 0) * (math.pi / 180)
    shear = torch.stack([part(-0.3, 0.3, 0), part(-0.3, 0.3, 0)])
    scale = torch.stack([part(0.8, 1.2, 1), part(0.8, 1.2, 1)])
    pixels = 2 * size / 105
    shift = torch.stack([part(-pixels, pixels, 0), part(-pixels, pixels, 0)]) * (2 / size)
    grid = affine_grid(_matrix(angle, shear, scale, shift), list(ink.shape), align_corners=False)
    return grid_sample(ink, grid.to(ink), align_corners=False)


@dataclass(frozen=True)
class Hand:
    """The spread of a strong distortion: affine, elastic at several scales, thickness.

    Attributes
    ----------
    rotate : float
        Largest rotation, degrees.
    shear : float
        Largest shear.
    scale : tuple of float
        Smallest and largest size.
    aspect : float
        Largest logarithm of the ratio of width to height, halved.
    shift : float
        Largest shift, as a fraction of the side.
    elastic : float
        Spread of the elastic displacement at a grid of 3x3 points, in half sides; finer grids
        get less.
    thickness : float
        Factor on the change of the strokes' thickness; 0 leaves it as it is.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    rotate: float = 12.0
    shear: float = 0.3
    scale: tuple[float, float] = (0.8, 1.2)
    aspect: float = 0.15
    shift: float = 0.07
    elastic: float = 0.06
    thickness: float = 1.0

    def __call__(self, ink: Tensor, generator: torch.Generator) -> Tensor:
        """Distort every image of a batch by its own draw."""
        n, size = len(ink), ink.shape[-1]

        def spread(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator) * 2 - 1

        low, high = (math.log(s) for s in self.scale)
        zoom = torch.exp(low + (high - low) * torch.rand(n, generator=generator))
        ratio = torch.exp(spread(n) * self.aspect)
        angle = spread(n) * (self.rotate * math.pi / 180)
        shear = torch.stack([spread(n) * self.shear, torch.zeros(n)])
        shift = spread(2, n) * (2 * self.shift)
        matrix = _matrix(angle, shear, torch.stack([zoom * ratio, zoom / ratio]), shift)
        grid = affine_grid(matrix, list(ink.shape), align_corners=False)
        grid = grid + self._bend(n, size, generator).permute(0, 2, 3, 1)
        return _thicken(grid_sample(ink, grid, align_corners=False), self.thickness, generator)

    def _bend(self, n: int, size: int, generator: torch.Generator) -> Tensor:
        field = torch.zeros(n, 2, size, size)
        for points in (3, 5, 8):
            amount = self.elastic * 3 / points * torch.rand(n, 1, 1, 1, generator=generator)
            noise = torch.randn(n, 2, points, points, generator=generator) * amount
            field += interpolate(noise, size=(size, size), mode="bicubic", align_corners=True)
        return field


def quarter_turns(ink: Tensor, turn: Tensor) -> Tensor:
    """Turn each image by 90 degrees times ``turn % 4``, mirrored first where ``turn >= 4``.

    Parameters
    ----------
    ink : Tensor
        (N, 1, S, S).
    turn : Tensor
        (N,) integers in 0..7.
    """
    turned = torch.where((turn >= 4).view(-1, 1, 1, 1), ink.flip(-1), ink)
    for quarter in (1, 2, 3):
        rows = turn % 4 == quarter
        turned[rows] = torch.rot90(turned[rows], quarter, (-2, -1))
    return turned


def _matrix(angle: Tensor, shear: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return the inverse maps (N, 2, 3): from where in the source each output pixel comes."""
    cos, sin = angle.cos(), angle.sin()
    one = torch.ones_like(angle)
    rotation = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    slant = torch.stack([one, shear[0], shear[1], one], 1).view(-1, 2, 2)
    linear = torch.diag_embed(1 / scale.T) @ rotation @ slant
    return torch.cat([linear, shift.T[:, :, None]], dim=2)


def _thicken(ink: Tensor, factor: float, generator: torch.Generator) -> Tensor:
    """Thicken a third of the drawings and thin a quarter, by a part of a pixel each."""
    choice = torch.rand(len(ink), 1, 1, 1, generator=generator)
    amount = factor * torch.rand(len(ink), 1, 1, 1, generator=generator)
    thick, thin = max_pool2d(ink, 3, 1, 1), -max_pool2d(-ink, 3, 1, 1)
    thicker = ink + (thick - ink) * (0.9 * amount)
    thinner = ink + (thin - ink) * (0.6 * amount)
    drawn = torch.where(choice < 0.35, thicker, torch.where(choice < 0.6, thinner, ink))
    return drawn.clamp(0, 1)
