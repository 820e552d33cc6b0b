"""Masks drawn to the edges of the picture: a guided filter, or GrabCut.

K. He, J. Sun and X. Tang, "Guided image filtering", 2013, equations 14 to 16 (colour guide).
C. Rother, V. Kolmogorov and A. Blake, "GrabCut", 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.images import resize
from handful.images.cutting import clip_box
from handful.methods.masks.grabcut import LIKELY, NOT, SURELY, UNLIKELY, grabcut
from handful.methods.segmenter import CUT, Image, at_size

Refine: TypeAlias = Literal["edges", "grabcut"]

MOST = 2**21
"""Pixels of the picture by which masks are refined; a larger picture is shrunk for it."""

_SMOOTH = 1e-3


def refine_masks(soft: Tensor, image: Image, how: Refine) -> Tensor:
    """Draw soft masks to the edges of their picture.

    Parameters
    ----------
    soft : Tensor
        (classes, h, w) in [0, 1], over the whole picture.
    image : ndarray
        (H, W, 3) uint8.
    how : {"edges", "grabcut"}
        A guided filter as wide as a cell of the masks; or GrabCut, each class against the rest.

    Returns
    -------
    Tensor
        (classes, H, W) in [0, 1] at the picture's size, or as large as `MOST` allows.
    """
    height, width = image.shape[:2]
    scale = min(1.0, (MOST / (height * width)) ** 0.5)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    guide = resize(image, size)
    wide = at_size(soft, size).numpy()
    radius = max(1, round(max(size[0] / soft.shape[1], size[1] / soft.shape[2])))
    if how == "edges":
        return torch.from_numpy(guided_filter(guide, wide, radius))
    return torch.from_numpy(np.stack([_grabcut(guide, mask, radius) for mask in wide]))


def guided_filter(
    image: Image, masks: NDArray[np.float32], radius: int, smooth: float = _SMOOTH
) -> NDArray[np.float32]:
    """Fit masks by a linear function of colour in every window, and average the fits.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8; colours are taken in [0, 1].
    masks : ndarray
        (n, H, W) float32.
    radius : int
        A window has a side of 2 radius + 1 pixels.
    smooth : float
        Variances of colour below this are no edge.

    Returns
    -------
    ndarray
        (n, H, W) float32, cut off at 0 and 1.
    """
    import cv2

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        side = 2 * radius + 1
        found: NDArray[np.float32] = cv2.boxFilter(
            values, -1, (side, side), borderType=cv2.BORDER_REFLECT
        )
        return found

    colour = image.astype(np.float32) / np.float32(255)
    centre = mean(colour)
    height, width = image.shape[:2]
    spread = np.empty((height, width, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            both = mean(np.ascontiguousarray(colour[..., i] * colour[..., j]))
            spread[..., i, j] = spread[..., j, i] = both - centre[..., i] * centre[..., j]
    spread += smooth * np.eye(3, dtype=np.float32)
    inverse = np.linalg.inv(spread)
    filtered = np.empty_like(masks)
    for place, mask in enumerate(masks):
        level = mean(mask)
        together = (
            mean(np.multiply(colour, mask[..., None], dtype=np.float32)) - centre * level[..., None]
        )
        slope = np.einsum("hwij,hwj->hwi", inverse, together)
        offset = level - (slope * centre).sum(2)
        filtered[place] = (mean(slope) * colour).sum(2) + mean(offset)
    return filtered.clip(0, 1)


def box_mask(image: Image, box: Sequence[float]) -> NDArray[np.uint8]:
    """Find the object inside a box by GrabCut: (H, W) uint8 of 0 and 1.

    Where GrabCut finds nothing (one colour all over) the box itself is the object.

    Raises
    ------
    InputError
        The box has no area or lies outside the picture.

    Examples
    --------
    >>> photo = np.full((40, 60, 3), 40, np.uint8)
    >>> photo[10:30, 20:40] = (250, 200, 0)
    >>> int(box_mask(photo, (15, 5, 30, 30)).sum())
    400
    """
    height, width = image.shape[:2]
    x, y, wide, high = clip_box(box, height, width)
    scale = min(1.0, (MOST / (height * width)) ** 0.5)
    small = resize(image, (max(1, round(height * scale)), max(1, round(width * scale))))
    left, top = int(x * scale), int(y * scale)
    right, bottom = round((x + wide) * scale), round((y + high) * scale)
    inside = np.zeros(small.shape[:2], np.float32)
    inside[top : max(bottom, top + 1), left : max(right, left + 1)] = 0.6
    cut = grabcut(small, np.where(inside > 0, LIKELY, NOT).astype(np.uint8))
    found = cut if cut.any() else inside > 0
    return resize(found.astype(np.uint8) * 255, (height, width)) // 128


def _grabcut(image: Image, soft: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Return 1 where GrabCut finds the class; away from its border the soft mask is trusted."""
    import cv2

    there = (soft >= CUT).astype(np.uint8)
    if not there.any() or there.all():
        return there.astype(np.float32)
    kernel = np.ones((2 * radius + 1,) * 2, np.uint8)
    near = cv2.dilate(there, kernel) - cv2.erode(there, kernel) > 0
    hints = np.where(there, SURELY, NOT).astype(np.uint8)
    hints[near] = np.where(there, LIKELY, UNLIKELY)[near]
    return grabcut(image, hints).astype(np.float32)
