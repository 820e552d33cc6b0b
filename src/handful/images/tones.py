"""Greys of more than eight bits, brought to eight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DEPTHS = (8, 10, 12, 14, 16)


def to_uint8(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale a grey picture of integers or floats to 0..255 by the range it really uses.

    Cameras store 10, 12 or 14 bits in files of 16; dividing by 65,535 would leave such pictures
    black. So white is the largest value of the smallest depth (8, 10, 12, 14 or 16 bits) that
    holds the brightest pixel: pictures of one camera mostly keep their relation, and an eight
    bit picture stored times 257 comes back as it was.

    - whole or fractional values within [0, 65,535]: as above;
    - floats within [0, 1]: 1 is white;
    - anything else (negative, or above 65,535): the darkest pixel is black, the brightest white.

    Infinite values and NaN count as the nearest finite one, NaN as black.

    Parameters
    ----------
    grey : ndarray
        (H, W) of any real type.

    Returns
    -------
    ndarray
        (H, W) uint8.

    Examples
    --------
    >>> to_uint8(np.array([[0, 2048, 4095]], np.uint16)).tolist()
    [[0, 128, 255]]
    >>> to_uint8(np.array([[0.0, 0.5, 1.0]])).tolist()
    [[0, 128, 255]]
    """
    values = grey.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = float(values[finite].min()), float(values[finite].max())
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if low < 0 or high > 65_535:
        black, white = low, high
    elif np.issubdtype(grey.dtype, np.floating) and high <= 1:
        black, white = 0.0, 1.0
    else:
        depth = next(bits for bits in _DEPTHS if high < 2**bits)
        black, white = 0.0, float(2**depth - 1)
    span = max(white - black, np.finfo(np.float64).tiny)
    return np.floor(255 * (values - black) / span + 0.5).clip(0, 255).astype(np.uint8)


DARK = 128
"""A picture whose brightest tones are below this is dark."""

BRIGHTEST = 0.003
"""The share of pixels whose tones count as the brightest: more than a few hot pixels."""


def brighten(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring the brightest tones of a dark picture to white; leave any other as it is.

    Fluorescence and night pictures use a part of the scale, each another one, so that what is
    learned from one does not fit the next. All tones are multiplied alike: black and the colours
    stay.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8.

    Returns
    -------
    ndarray
        (H, W, 3) uint8; the same array where the picture is not `DARK`, or all black.

    Examples
    --------
    >>> night = np.zeros((10, 10, 3), np.uint8)
    >>> night[4:6, 4:6] = (50, 20, 0)
    >>> brighten(night)[4, 4].tolist()
    [255, 102, 0]
    """
    brightest = float(np.quantile(image.max(-1), 1 - BRIGHTEST, method="higher"))
    if not 0 < brightest < DARK:
        return image
    scale = np.minimum(np.arange(256) * (255 / brightest) + 0.5, 255).astype(np.uint8)
    brightened: NDArray[np.uint8] = scale[image]
    return brightened
