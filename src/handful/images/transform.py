"""Resizing and cutting pictures in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handful.errors import InputError
from handful.images.decode import PIXEL_LIMIT

Scalar = TypeVar("Scalar", bound=np.generic)


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize to `size` = (height, width), antialiased, the sides each by their own factor.

    Pillow's bicubic filter, widened by the factor where it shrinks: what most networks were
    trained with, and the same bits on every machine (it computes in whole numbers).

    Parameters
    ----------
    image : ndarray
        (H, W, 3) or (H, W) uint8.
    size : (int, int)
        Height and width, in pixels.

    Raises
    ------
    InputError
        A side is below 1, or the result would have more than `PIXEL_LIMIT` pixels.

    Examples
    --------
    >>> resize(np.zeros((100, 50, 3), np.uint8), (20, 10)).shape
    (20, 10, 3)
    """
    height, width = size
    if height < 1 or width < 1 or height * width > PIXEL_LIMIT:
        raise InputError(
            f"resizing to {width} x {height}: sides from 1, at most {PIXEL_LIMIT:,} pixels"
        )
    if image.shape[:2] == (height, width):
        return image
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    return np.array(resized)


def resize_short(image: NDArray[np.uint8], short: int) -> NDArray[np.uint8]:
    """Resize so that the short side is `short` pixels; the picture keeps its proportions.

    Examples
    --------
    >>> resize_short(np.zeros((100, 50, 3), np.uint8), 10).shape
    (20, 10, 3)
    """
    height, width = image.shape[:2]
    scale = short / min(height, width)
    # the short side is set, not computed: rounding must not move it
    if height <= width:
        return resize(image, (short, max(short, round(width * scale))))
    return resize(image, (max(short, round(height * scale)), short))


def center_crop(image: NDArray[Scalar], size: tuple[int, int]) -> NDArray[Scalar]:
    """Cut (height, width) out of the middle; an odd rest leaves the pixel below and right.

    Raises
    ------
    InputError
        The picture is smaller than that.

    Examples
    --------
    >>> center_crop(np.arange(25).reshape(5, 5), (1, 3)).tolist()
    [[11, 12, 13]]
    """
    (height, width), (tall, wide) = size, image.shape[:2]
    if not (1 <= height <= tall and 1 <= width <= wide):
        raise InputError(f"cannot cut {width} x {height} out of a {wide} x {tall} image")
    top, left = (tall - height) // 2, (wide - width) // 2
    return image[top : top + height, left : left + width]


def cut(image: NDArray[Scalar], box: Sequence[float]) -> NDArray[Scalar]:
    """Cut a box out of a picture; what reaches over its edge is left out.

    Parameters
    ----------
    image : ndarray
        (H, W, ...) of any type.
    box : (x, y, width, height)
        In pixels from the top left corner; fractions widen the cut to whole pixels.

    Returns
    -------
    ndarray
        A view into `image`.

    Raises
    ------
    InputError
        The box is not four finite numbers, has no area, or lies outside the picture.

    Examples
    --------
    >>> cut(np.arange(12).reshape(3, 4), (2, 1, 9, 1)).tolist()
    [[6, 7]]
    """
    if len(box) != 4 or not all(math.isfinite(value) for value in box):
        raise InputError(f"box {tuple(box)}: give four finite numbers: x, y, width, height")
    x, y, width, height = box
    if width <= 0 or height <= 0:
        raise InputError(f"box {tuple(box)} has no area; width and height must be above 0")
    tall, wide = image.shape[:2]
    left, right = max(0, math.floor(x)), min(wide, math.ceil(x + width))
    top, bottom = max(0, math.floor(y)), min(tall, math.ceil(y + height))
    if left >= right or top >= bottom:
        raise InputError(f"box {tuple(box)} lies outside the {wide} x {tall} image")
    return image[top:bottom, left:right]


def pad_square(image: NDArray[Scalar], fill: int | Sequence[int] = 255) -> NDArray[Scalar]:
    """Pad the short side with `fill` on both sides until the picture is square.

    Parameters
    ----------
    image : ndarray
        (H, W) or (H, W, C) of any type.
    fill : int or sequence of int
        One value, or one per channel.

    Examples
    --------
    >>> pad_square(np.array([[1, 2, 3]]), 0).tolist()
    [[0, 0, 0], [1, 2, 3], [0, 0, 0]]
    """
    height, width = image.shape[:2]
    if height == width:
        return image
    side = max(height, width)
    square: NDArray[Any] = np.empty((side, side, *image.shape[2:]), image.dtype)
    square[...] = fill
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = image
    return square
