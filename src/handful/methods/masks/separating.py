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
        the edge, smoothed by a quarter of a typical radius. Without it every part is one object;
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
    kept = area >= max(min_area, 1)
    kept[0] = False
    numbers = (np.cumsum(kept) * kept).astype(np.int32)
    found: NDArray[np.int32] = numbers[parts]
    return found


def _split(mask: NDArray[np.bool_], parts: NDArray[np.int32], typical: float) -> NDArray[np.int32]:
    """Climb from every pixel to the middle of its object; parts without a middle stay whole."""
    import cv2
    from scipy.ndimage import label

    radius = math.sqrt(typical / math.pi)
    # the edge of the picture is no edge of an object: only what is not masked is
    inside = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    depth = cv2.GaussianBlur(depth, (0, 0), max(0.5, _SMOOTH * radius)) * mask
    reach = 2 * max(1, round(_APART * radius)) + 1
    around = cv2.dilate(depth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    peaks = (depth == around) & (depth > _DEEP * radius) & mask
    middles: NDArray[np.int32] = label(peaks, np.ones((3, 3)), output=np.int32)[0]
    tops = _climb(depth, mask)
    rows, columns = np.divmod(np.flatnonzero(mask), mask.shape[1])
    whole, found = parts[mask], middles.ravel()[tops]
    # a top that is no middle is a bump of the slope: it goes to the nearest middle of its part
    bumps = np.unique(tops[found == 0])
    goal = dict(zip(bumps.tolist(), _nearest_middle(bumps, middles, parts), strict=True))
    lost = np.flatnonzero(found == 0)
    found[lost] = [goal[top] for top in tops[lost].tolist()]
    alone = found == 0
    found[alone] = int(middles.max()) + whole[alone]
    split = np.zeros(mask.shape, np.int32)
    split[rows, columns] = found
    return split


def _climb(depth: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for every masked pixel the top of the steepest way up, as a flat index."""
    height, width = depth.shape
    padded = np.pad(depth, 1, constant_values=-1)
    best, step = depth.copy(), np.zeros(depth.shape, np.int64)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            beside = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
            higher = beside > best
            best[higher] = beside[higher]
            step[higher] = down * width + right
    above = np.arange(depth.size) + step.ravel()
    tops: NDArray[np.int64] = above[mask.ravel()]
    while (above[tops] != tops).any():
        above = above[above]  # twice as far at every turn
        tops = above[tops]
    return tops


def _nearest_middle(
    tops: NDArray[np.int64], middles: NDArray[np.int32], parts: NDArray[np.int32]
) -> list[int]:
    """Return for each top the nearest middle of the same part; 0 where that has none."""
    places = np.flatnonzero(middles)
    width = parts.shape[1]
    of_part = parts.ravel()[places]
    found = []
    for top in tops.tolist():
        own = places[of_part == parts.flat[top]]
        distance = (own // width - top // width) ** 2 + (own % width - top % width) ** 2
        found.append(int(middles.flat[own[distance.argmin()]]) if own.size else 0)
    return found
