"""What an explanation is worth: how much a score falls when the marked pixels are erased.

The marked pixels take the picture's mean colour; a drawing's turn to blank paper. What any hole of
that shape would cost is seen from the same mask shifted around the picture at random, and the
share of the fall beyond it is what the mark explains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

SHARE = 0.2
"""The share of the area that counts as marked."""

DRAWS = 10
"""Random shifts of the mask."""


@dataclass(frozen=True, eq=False)
class Falls:
    """How far the scores of N images fell.

    Attributes
    ----------
    before, after : Tensor
        (N,) the score of the whole image, and with what is marked erased.
    shifted : Tensor
        (N, draws) the score with the shifted masks erased.
    """

    before: Tensor
    after: Tensor
    shifted: Tensor

    @property
    def fall(self) -> Tensor:
        """(N,) what erasing the mark costs."""
        return self.before - self.after

    @property
    def random_fall(self) -> Tensor:
        """(N,) what erasing a shifted mask costs on average."""
        return self.before - self.shifted.mean(1)


def top_mask(maps: Tensor, size: tuple[int, int], share: float = SHARE) -> Tensor:
    """Mark the largest values of each map.

    Parameters
    ----------
    maps : Tensor
        (N, h, w), not negative.
    size : (int, int)
        Height and width of the mask, to which the maps are resized bilinearly.
    share : float
        Of the area, in (0, 1).

    Returns
    -------
    Tensor
        (N, H, W) bool; less than that share where fewer values are above 0.

    Examples
    --------
    >>> top_mask(torch.tensor([[[0.0, 1.0], [2.0, 3.0]]]), (2, 2), 0.5)
    tensor([[[False, False],
             [ True,  True]]])
    """
    resized = interpolate(maps[:, None].float(), size, mode="bilinear", align_corners=False)
    flat = resized.flatten(1)
    found = flat.topk(max(1, round(share * flat.shape[1])), dim=1)
    marked = torch.zeros_like(flat, dtype=torch.bool).scatter_(1, found.indices, found.values > 0)
    return marked.view(-1, *size)


def shifts(masks: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """Shift masks (N, H, W) around at random, what leaves an edge entering at the other.

    Returns
    -------
    Tensor
        (N, draws, H, W), each of the area of its mask.
    """
    count, height, width = masks.shape
    down = torch.randint(height, (count, draws, 1), generator=generator)
    across = torch.randint(width, (count, draws, 1), generator=generator)
    rows = ((torch.arange(height) - down) % height).to(masks.device)
    columns = ((torch.arange(width) - across) % width).to(masks.device)
    which = torch.arange(count, device=masks.device)[:, None, None, None]
    return masks[which, rows[..., None], columns[..., None, :]]


def erase(images: Tensor, masks: Tensor) -> Tensor:
    """Erase pixels: photos take their mean colour, ink (one channel) turns to blank paper.

    Parameters
    ----------
    images : Tensor
        (N, C, H, W), inputs of a network.
    masks : Tensor
        (N, H, W) bool.
    """
    fill = torch.mean(images, dim=(2, 3), keepdim=True)
    if images.shape[1] == 1:
        fill = torch.zeros_like(fill)
    return torch.where(masks[:, None], fill, images)


@torch.no_grad()
def measure_falls(
    score: Callable[[Tensor], Tensor],
    images: Tensor,
    masks: Tensor,
    generator: torch.Generator,
    draws: int = DRAWS,
) -> Falls:
    """Score images whole, without what is marked, and without the same area elsewhere.

    Parameters
    ----------
    score : callable
        Maps images (M, C, H, W), a multiple of N of them, to their scores (M,): row m belongs to
        image m % N.
    images : Tensor
        (N, C, H, W).
    masks : Tensor
        (N, H, W) bool.
    generator : torch.Generator
        What the shifts are drawn from.
    draws : int
        Shifts of each mask.
    """
    holes = torch.cat([masks[:, None], shifts(masks, draws, generator)], 1)
    variants = [images, *(erase(images, hole) for hole in holes.unbind(1))]
    before, after, *shifted = score(torch.cat(variants)).view(len(variants), -1)
    return Falls(before, after, torch.stack(shifted, 1))
