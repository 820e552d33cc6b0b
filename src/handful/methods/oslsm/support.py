"""How a support photo with its mask meets the conditioning branch, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from handful.errors import InputError

View = Literal["photo", "object"]

MARGIN = 0.1
"""What the view of an object reaches beyond its box on each side, as a share of its longer side."""


@dataclass(frozen=True)
class PixelClassifiers:
    """One class: the logistic regression of each shot.

    Attributes
    ----------
    weight : Tensor
        (shots, d): w.
    bias : Tensor
        (shots,): b.
    """

    weight: Tensor
    bias: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it under flat names, as safetensors keeps it."""
        return {"weight": self.weight, "bias": self.bias}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> PixelClassifiers:
        """Return the classifiers whose `tensors` these are."""
        if tensors.keys() != {"weight", "bias"}:
            raise InputError(f"{sorted(tensors)}: are no classifiers of pixels; fit again")
        return cls(tensors["weight"], tensors["bias"])

    @classmethod
    def join(cls, states: Sequence[PixelClassifiers]) -> PixelClassifiers:
        """Put the shots of several states of one class into one, in their order."""
        return cls(torch.cat([s.weight for s in states]), torch.cat([s.bias for s in states]))

    def logits(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Classify every pixel of features.

        Each shot's logits are enlarged bilinearly, by weights that are fixed; of several shots
        the largest logit counts, which is the logical or of their masks.

        Parameters
        ----------
        maps : Tensor
            (d, h, w), of one query.
        size : (int, int)
            Height and width of the answer.

        Returns
        -------
        Tensor
            (height, width)
        """
        scores = torch.einsum("kd,dhw->khw", self.weight, maps) + self.bias[:, None, None]
        return enlarged(scores, size).amax(0)


def enlarged(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, h, w) to (N, height, width), bilinearly."""
    return interpolate(scores[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def masked_view(pixels: Tensor, mask: Tensor, size: int, view: View = "photo") -> Tensor:
    """Return what the conditioning branch sees of a support.

    Parameters
    ----------
    pixels : Tensor
        (3, H, W), normalised: 0 is the mean colour.
    mask : Tensor
        (H, W) bool; where no pixel shows the object, nothing is seen.
    size : int
        Side of the square.
    view : {"photo", "object"}
        The whole photo, as published, or the square around the object. Where that reaches beyond
        the photo it is filled as what is masked: with the mean colour.

    Returns
    -------
    Tensor
        (3, size, size), the pixels times the mask.

    Examples
    --------
    >>> mask = torch.zeros(40, 60, dtype=torch.bool)
    >>> mask[10:20, 30:50] = True
    >>> seen = masked_view(torch.ones(3, 40, 60), mask, 24, "object")
    >>> seen.shape, round(float((seen > 0.5).float().mean()), 2)
    (torch.Size([3, 24, 24]), 0.35)
    """
    shown = pixels * mask
    if view == "object" and bool(mask.any()):
        shown = _around(shown, mask)
    resized = interpolate(
        shown[None], (size, size), mode="bilinear", align_corners=False, antialias=True
    )
    return resized[0]


def _around(shown: Tensor, mask: Tensor) -> Tensor:
    """Return the square around the object, with its margin."""
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
    side = round(max(height, width) * (1 + 2 * MARGIN))
    square = shown.new_zeros(3, side, side)
    y, x = (side - height) // 2, (side - width) // 2
    square[:, y : y + height, x : x + width] = shown[:, top : top + height, left : left + width]
    return square
