"""From pixels to objects: the connected parts of a mask, touching ones split where asked for."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SPECK = 0.1
"""Parts smaller than this share of a typical object are no objects."""

# in radii of a typical object, taken as a disc
_SMOOTH, _APART, _DEEP = 0.25, 0.7, 0.4


def separate(
    mask: NDArray[np.bool_], min_area: float = 0.0, typical: float | None = None
) -> NDArray[np.int32]:
    """Give each object of a mask a number.

    Parameters
    ----------
    mask : ndarray
        (H, W) bool.
    min_area : float
        Parts of fewer pixels are left out.
    typical : float, optional
        The area of one object, in pixels: what touches is split, a watershed of the distance to
        the edge (smoothed by a quarter of a typical radius). Without it every part is one object;
        parts that meet at a corner are one.

    Returns
    -------
    ndarray
        (H, W) int32: 0, or the number of the object, from 1 on without gaps.

    Examples
    --------
    >>> mask = np.array([[1, 1, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]], bool)
    >>> separate(mask).tolist()
    [[1, 1, 0, 0], [0, 0, 0, 2], [0, 3, 0, 0]]
    >>> int(separate(mask, min_area=2).max())
    1
    """
    from scipy.ndimage import label

    parts: NDArray[np.int32] = label(mask, np.ones((3, 3)), output=np.int32)[0]
    if typical is not None and parts.any():
        parts = _split(mask, parts, typical)
    area = np.bincount(parts.ravel())
    kept = area >= min_area
    kept[0] = False
    numbers = (np.cumsum(kept) * kept).astype(np.int32)
    found: NDArray[np.int32] = numbers[parts]
    return found


def _split(mask: NDArray[np.bool_], parts: NDArray[np.int32], typical: float) -> NDArray[np.int32]:
    """Flood from the places farthest from the edge; parts without such a place stay whole."""
    import cv2
    from scipy.ndimage import label, watershed_ift

    radius = math.sqrt(typical / math.pi)
    # the edge of the picture is no edge of an object: only what is not masked is
    inside = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    depth = cv2.GaussianBlur(depth, (0, 0), max(0.5, _SMOOTH * radius)) * mask
    reach = 2 * max(1, round(_APART * radius)) + 1
    around = cv2.dilate(depth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    peaks = (depth == around) & (depth > _DEEP * radius) & mask
    seeds, count = label(peaks, np.ones((3, 3)), output=np.int32)
    seeded = np.zeros(int(parts.max()) + 1, bool)
    seeded[parts[peaks]] = True
    whole = (parts > 0) & ~seeded[parts]
    seeds[whole] = count + parts[whole]
    height = np.full(mask.shape, 65535, np.uint16)
    height[mask] = (65534 * (1 - depth[mask] / max(1.0, float(depth.max())))).astype(np.uint16)
    flooded: NDArray[np.int32] = watershed_ift(height, seeds)
    return np.where(mask, flooded, 0).astype(np.int32)
