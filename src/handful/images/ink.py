"""A drawing reduced to its strokes: one small map in [0, 1], whatever the paper and the pen."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import InputError
from handful.images.transform import pad_square

SMALLEST_BOX = 0.38
"""The smallest box that `margin` cuts out, as a fraction of the page's side."""


def ink(image: NDArray[np.uint8], size: int, margin: float | None = None) -> NDArray[np.float32]:
    """Map a drawing to its strokes: 1 on a stroke, 0 on the background.

    The background is the median grey of the border. Strokes are what departs from it towards the
    side, darker or lighter, that departs more in all (sum of squares), so ink on paper and chalk
    on a board give the same map. The map is stretched so that the typical stroke is 1, padded to
    a square and reduced by exact area averaging.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB or (H, W) grey, uint8.
    size : int
        Side of the map, in pixels.
    margin : float, optional
        Cut out the strokes' box first, made square around its centre and enlarged by this
        fraction of its side, so that place and size on the page do not matter. A box below
        :data:`SMALLEST_BOX` of the page counts as that: a dot stays a dot.

    Returns
    -------
    ndarray
        (size, size) float32 in [0, 1]. A picture of one colour gives zeros; one that is black
        on white alone gives the area average of ``1 - x / 255``.

    Raises
    ------
    InputError
        The array is no such image, or `size` is below 1.

    Examples
    --------
    >>> page = np.full((4, 4), 255, np.uint8)
    >>> page[1, 1:3] = 0
    >>> ink(page, 2).tolist()
    [[0.25, 0.25], [0.0, 0.0]]
    """
    if size < 1:
        raise InputError(f"an ink map of {size} pixels a side: give 1 or more")
    grey = _grey(image)
    strokes = pad_square(_levels(grey)[grey], 0)
    if margin is None:
        average = _averaging(len(strokes), size)
        return _reduced(strokes, average, average).clip(0, 1)
    rows, columns = (
        _averaging(len(strokes), size, start, extent) for start, extent in _box(strokes, margin)
    )
    return _reduced(strokes, rows, columns).clip(0, 1)


def ink_box(
    image: NDArray[np.uint8], margin: float | None = None
) -> tuple[float, float, float, float]:
    """Return what part of a drawing its map shows: x, y, width and height in pixels.

    Parameters
    ----------
    image, margin
        As for `ink`.

    Returns
    -------
    tuple of float
        A square; it may reach over the edge of the drawing.

    Examples
    --------
    >>> page = np.full((40, 60), 255, np.uint8)
    >>> page[10:30, 20:50] = 0
    >>> ink_box(page), ink_box(page, 0.2)
    ((0.0, -10.0, 60.0, 60.0), (17.0, 2.0, 36.0, 36.0))
    """
    height, width = image.shape[:2]
    side = max(height, width)
    # the map is cut out of the page padded to a square, as `pad_square` pads it
    left, top = (side - width) // 2, (side - height) // 2
    if margin is None:
        return float(-left), float(-top), float(side), float(side)
    grey = _grey(image)
    (down, tall), (across, wide) = _box(pad_square(_levels(grey)[grey], 0), margin)
    return across - left, down - top, wide, tall


def area_average(grey: NDArray[Any], size: int) -> NDArray[np.float32]:
    """Reduce (H, W) values to (size, size): each output pixel is the mean of the area it covers.

    Any ratio works, also one that is no whole number; a larger `size` repeats pixels.

    Examples
    --------
    >>> area_average(np.array([[0.0, 3.0, 6.0]] * 3), 2)[0].tolist()
    [1.0, 5.0]
    """
    height, width = grey.shape
    values: NDArray[np.float32] = np.asarray(grey, np.float32)
    return _reduced(values, _averaging(height, size), _averaging(width, size))


def _reduced(
    values: NDArray[np.float32], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    reduced = np.empty((len(rows), len(columns)), np.float32)
    return np.matmul(rows @ values, columns.T, out=reduced)


def _box(strokes: NDArray[np.float32], margin: float) -> list[tuple[float, float]]:
    """Return start and extent of the square around the strokes, down and across, in pixels."""
    firm = strokes > 0.5
    spans = []
    for lines in (firm.any(1), firm.any(0)):
        hit = np.flatnonzero(lines)
        spans.append((int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, len(strokes)))
    side = max(*(end - start for start, end in spans), SMALLEST_BOX * len(strokes))
    side *= 1 + margin
    return [((start + end - side) / 2, side) for start, end in spans]


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of ITU-R BT.601 in whole numbers, so that a grey triple keeps its value exactly."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise InputError(f"ink needs a uint8 image, this is {image.dtype} {image.shape}")
    if image.ndim == 2:
        return image
    if image.shape[2] != 3:
        raise InputError(f"ink needs (height, width, 3) or (height, width), this is {image.shape}")
    # a coloured drawing is the exception; the test costs less than the sum
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return red
    luma = red.astype(np.uint32) * 19_595
    luma += green.astype(np.uint32) * 38_470
    luma += blue.astype(np.uint32) * 7_471
    return ((luma + 32_768) >> 16).astype(np.uint8)


def _levels(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the ink (256,) of every grey level, found from the picture's histogram alone."""
    counts = np.bincount(grey.reshape(-1), minlength=256)
    departs = _background(grey) - np.arange(256)  # positive: darker than the background
    darker, lighter = departs.clip(0), (-departs).clip(0)
    if counts @ lighter**2 > counts @ darker**2:
        darker, lighter = lighter, darker
    mass = counts * darker
    if not mass.any():
        return np.zeros(256, np.float32)
    # Paper scatters to both sides, strokes to one: the other side tells how far paper goes.
    scatter = lighter[_quantile_level(counts, lighter, 0.95)]
    strokes = (darker - scatter).clip(0)
    # A stroke pixel sees this strength on average; specks of dust hardly move it.
    typical = (mass @ darker) / mass.sum() - scatter
    firm = counts * (strokes >= typical / 2)
    top = strokes[_quantile_level(firm, strokes, 0.5)]
    if typical <= 0 or top <= 0:
        return np.zeros(256, np.float32)
    levels: NDArray[np.float32] = np.asarray(strokes / top, np.float32).clip(0, 1)
    return levels


def _background(grey: NDArray[np.uint8]) -> float:
    """Return the median grey of the border, 2 % of the short side wide."""
    width = max(1, round(0.02 * min(grey.shape)))
    inner = grey[width:-width]
    ring = [grey[:width], grey[-width:], inner[:, :width], inner[:, -width:]]
    return float(np.median(np.concatenate([part.reshape(-1) for part in ring])))


def _quantile_level(counts: NDArray[Any], values: NDArray[Any], share: float) -> int:
    """Return the level whose value is the `share` quantile, each level counted `counts` times."""
    order = np.argsort(values, kind="stable")
    summed = np.cumsum(counts[order])
    return int(order[np.searchsorted(summed, share * summed[-1])])


@lru_cache(maxsize=1024)
def _averaging(
    length: int, size: int, start: float = 0.0, extent: float | None = None
) -> NDArray[np.float32]:
    """Return the matrix (size, length) that averages pixels down to `size`.

    The `extent` pixels from `start` are averaged, all of them by default; those outside the
    picture count as 0.
    """
    extent = length if extent is None else extent
    edges = start + np.arange(size + 1) * (extent / size)
    pixels = np.arange(length)
    ends = np.minimum(edges[1:, None], pixels + 1)
    starts = np.maximum(edges[:-1, None], pixels)
    weights: NDArray[np.float32] = np.asarray((ends - starts).clip(0) * size / extent, np.float32)
    weights.setflags(write=False)
    return weights
