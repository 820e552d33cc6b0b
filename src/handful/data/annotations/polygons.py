"""Polygons to masks, and masks to polygons, without a pixel lost on the way.

Coordinates are those of COCO and LabelMe: the picture reaches from (0, 0) to (width, height), and
the first pixel's centre is (.5, .5). A pixel belongs to a polygon when its centre is inside by the
non-zero winding rule: where a polygon crosses itself, or two overlap, the pixel stays inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from handful.errors import InputError

Polygon: TypeAlias = NDArray[np.float64]
"""(n, 2) corners x, y in pixels; the last is joined to the first."""


def polygon(points: Sequence[Any], where: object = "a polygon") -> Polygon:
    """Take corners as pairs, or as COCO's flat list x, y, x, y, ....

    Raises
    ------
    InputError
        Fewer than three corners, an odd list, or what is no number.

    Examples
    --------
    >>> polygon([0, 0, 2, 0, 2, 2]).shape
    (3, 2)
    """
    try:
        values = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{where}: corners are pairs of numbers; draw it again") from None
    if values.size % 2 or values.size < 6 or not np.isfinite(values).all():
        raise InputError(
            f"{where}: {values.size} numbers make no polygon; give x and y of three corners or more"
        )
    return values.reshape(-1, 2)


def fill(
    polygons: Iterable[Polygon], size: tuple[int, int], where: object = "a polygon"
) -> NDArray[np.bool_]:
    """Return the union of polygons as a mask.

    Parameters
    ----------
    polygons : iterable of ndarray
        Each by itself; what reaches over the edge is cut off.
    size : (int, int)
        Height and width.
    where : object
        What they are of, for the message.

    Returns
    -------
    ndarray
        (H, W) bool.

    Raises
    ------
    InputError
        A polygon lies outside the picture altogether.

    Examples
    --------
    >>> square = np.array([[1.0, 0], [3, 0], [3, 2], [1, 2]])
    >>> fill([square, square + [1, 0]], (3, 4)).astype(int).tolist()
    [[0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]
    """
    height, width = size
    mask = np.zeros(size, bool)
    for corners in polygons:
        low, high = corners.min(0), corners.max(0)
        if (high <= 0).any() or low[0] >= width or low[1] >= height:
            raise InputError(
                f"{where}: a polygon at {low[0]:g}, {low[1]:g} lies outside the {width} x {height}"
                f" image; remove it or give the right image"
            )
        left, top = (int(v) for v in np.floor(low).clip(0))
        right, below = (int(v) for v in np.minimum(np.ceil(high), (width, height)))
        mask[top:below, left:right] |= _inside(corners - [left, top], (below - top, right - left))
    return mask


def _inside(corners: Polygon, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Wind along every row of pixel centres; inside is where the winding number is not 0."""
    height, width = size
    start, end = corners, np.roll(corners, -1, axis=0)
    # rows whose centre, y + .5, lies between the ends of an edge
    top = np.ceil(np.minimum(start[:, 1], end[:, 1]) - 0.5).clip(0, height).astype(np.int64)
    below = np.ceil(np.maximum(start[:, 1], end[:, 1]) - 0.5).clip(0, height).astype(np.int64)
    count = below - top
    edge = np.repeat(np.arange(len(corners)), count)
    first = np.cumsum(count) - count
    row = np.arange(len(edge)) - first[edge] + top[edge]
    (x, y), (dx, dy) = start[edge].T, (end - start)[edge].T
    crossing = x + (row + 0.5 - y) * dx / dy
    column = np.ceil(crossing - 0.5).clip(0, width).astype(np.int64)
    turns = np.zeros((height, width + 1), np.int32)
    np.add.at(turns, (row, column), np.where(dy > 0, 1, -1))
    inside: NDArray[np.bool_] = np.cumsum(turns, axis=1)[:, :width] != 0
    return inside


def outline(mask: NDArray[Any]) -> list[Polygon]:
    """Return polygons whose :func:`fill` is the mask again, one for each connected object.

    Corners run along the edges of pixels. A hole is joined to its object by a cut of no width,
    which programs that know no holes draw rightly too.

    Parameters
    ----------
    mask : ndarray
        (H, W), any value but 0 is the object; pixels that touch by a corner are two objects.

    Examples
    --------
    >>> outline(np.array([[0, 0, 0], [0, 1, 1]]))[0].astype(int).tolist()
    [[1, 1], [3, 1], [3, 2], [1, 2]]
    """
    import cv2

    found = []
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (np.asarray(mask) != 0).astype(np.uint8), connectivity=4
    )
    for number in range(1, count):
        left, top, width, height = (int(v) for v in stats[number, :4])
        part = labels[top : top + height, left : left + width] == number
        loops = sorted(_loops(part), key=lambda loop: -abs(_area(loop)))
        joined = loops[0]
        for hole in loops[1:]:
            # there and back along the cut: the windings cancel
            joined = np.concatenate([joined[:1], hole, hole[:1], joined])
        found.append(joined + np.array([left, top]))
    return found


def _loops(part: NDArray[np.bool_]) -> list[Polygon]:
    """Trace the edges between object and background, the object on the right hand."""
    padded = np.pad(part, 1)
    inner = padded[1:-1, 1:-1]
    edges: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for shift, begin, way in (
        ((-1, 0), (0, 0), (1, 0)),  # above a pixel: to the right
        ((0, 1), (1, 0), (0, 1)),  # right of it: down
        ((1, 0), (1, 1), (-1, 0)),  # below it: to the left
        ((0, -1), (0, 1), (0, -1)),  # left of it: up
    ):
        outside = ~np.roll(padded, (-shift[0], -shift[1]), axis=(0, 1))[1:-1, 1:-1]
        for y, x in zip(*np.nonzero(inner & outside), strict=True):
            edges.setdefault((int(x) + begin[0], int(y) + begin[1]), []).append(way)
    loops = []
    while edges:
        at = start = next(iter(edges))
        corners, before = [], None
        while at in edges:
            ways = edges[at]
            # where two pixels touch by a corner, turn right: each keeps its own outline
            way = ways[0] if before is None or len(ways) == 1 else (-before[1], before[0])
            ways.remove(way)
            if not ways:
                del edges[at]
            if way != before:
                corners.append(at)
            at, before = (at[0] + way[0], at[1] + way[1]), way
            if at == start and at not in edges:
                break
        loops.append(np.array(corners, np.float64))
    return loops


def _area(loop: Polygon) -> float:
    x, y = loop.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
