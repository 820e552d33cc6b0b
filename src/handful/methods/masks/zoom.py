"""At which size a picture is looked at: whole, or magnified and in tiles where objects are small.

The examples decide. A network sees little of an object of ten pixels, and a photo that is shrunk
to what a network takes loses its small objects; how large an object is, the masks tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.images import resize
from handful.methods.segmenter import (
    CUT,
    Features,
    Image,
    Mask,
    SegmentationMethod,
    at_size,
)

SIDE = 384
"""Long side at which a photo of large objects is seen whole, in pixels, where a method has none."""

OBJECT = 48
"""Side of an object from which it is seen well: smaller ones are magnified to it."""

MOST_FACTOR = 8.0
"""The largest magnification."""

MOST_PIXELS = 2**26
"""A picture seen at more pixels than this is magnified less, or shrunk: time and memory end."""

TILE, OVERLAP = 768, 128
"""Side of a tile, and what neighbours share, in pixels as seen; up to 1.5 tiles are one."""

SHOWING, EMPTY = 12, 4
"""Tiles of one example that are learned from: those that show an object, and others."""

_GRID = 4
_LEAST = 32


class Tile(NamedTuple):
    """A part of a picture, in its own pixels, and the size at which it is seen."""

    top: int
    left: int
    bottom: int
    right: int
    seen: tuple[int, int]

    def cut(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Return the part, a view."""
        return picture[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True)
class Zoom:
    """How large pictures are seen.

    Attributes
    ----------
    factor : float or None
        Pixels as seen for each of the picture's own; None: the whole picture at `SIDE`.
    typical : float
        Area of a typical object: in pixels where there is a factor, as a share of the picture
        where there is none.
    side : int
        Long side at which a whole picture is seen, in pixels.

    Examples
    --------
    >>> Zoom(None, 0.2).tiles((3000, 4000))
    [Tile(top=0, left=0, bottom=3000, right=4000, seen=(288, 384))]
    >>> len(Zoom(4.0, 150.0).tiles((520, 696)))
    20
    """

    factor: float | None
    typical: float
    side: int = SIDE

    def typical_area(self, size: tuple[int, int]) -> float:
        """Return the area of a typical object in a picture of `size`, in pixels."""
        return self.typical * (size[0] * size[1] if self.factor is None else 1)

    def factor_at(self, size: tuple[int, int]) -> float:
        """Return the factor at which a picture of `size` = (height, width) is seen."""
        wanted = self.side / max(size) if self.factor is None else self.factor
        return min(wanted, math.sqrt(MOST_PIXELS / (size[0] * size[1])))

    def shortfall(self, size: tuple[int, int]) -> float | None:
        """Return which share of its factor a picture of `size` gets; None: all of it."""
        if self.factor is None or self.factor_at(size) == self.factor:
            return None
        return self.factor_at(size) / self.factor

    def tiles(self, size: tuple[int, int]) -> list[Tile]:
        """Cut a picture of `size` = (height, width) into tiles that overlap, row by row."""
        factor = self.factor_at(size)
        rows, columns = (_spans(length, factor) for length in size)
        return [
            Tile(
                top, left, bottom, right, (_seen(bottom - top, factor), _seen(right - left, factor))
            )
            for top, bottom in rows
            for left, right in columns
        ]


def choose_zoom(masks: Iterable[Sequence[Mask]]) -> Zoom:
    """Choose by the size of the objects in the examples.

    Where the typical object (the median of the connected parts of the masks, of the class with
    the smallest) is at least `OBJECT` / `SIDE` of its picture's long side, pictures are seen whole.
    Smaller ones are magnified, all pictures alike, until a typical object has `OBJECT` pixels.

    Parameters
    ----------
    masks : iterable of sequence of array
        Of each class, the masks of its examples; one of them at least shows an object.

    Examples
    --------
    >>> small = np.zeros((200, 200), np.uint8)
    >>> small[50:62, 50:62] = 1
    >>> choose_zoom([[small]]).factor
    4.0
    """
    from scipy.ndimage import label

    sides: list[tuple[float, float, float]] = []
    for shots in masks:
        found: list[tuple[float, float, float]] = []
        for mask in shots:
            parts, _ = label(mask == 1, np.ones((3, 3)))
            for area in np.bincount(parts.ravel())[1:].tolist():
                found.append((math.sqrt(area) / max(mask.shape), float(area), area / mask.size))
        if found:
            sides.append(sorted(found)[len(found) // 2])
    share, area, part = min(sides)
    if share >= OBJECT / SIDE:
        return Zoom(None, part)
    return Zoom(min(OBJECT / math.sqrt(area), MOST_FACTOR), area)


def encode_tiles(method: SegmentationMethod, image: Image, tiles: Sequence[Tile]) -> list[Features]:
    """Return the features of each tile of a picture."""
    return [method.encode([resize(tile.cut(image), tile.seen)])[0] for tile in tiles]


def learning_tiles(tiles: Sequence[Tile], masks: Sequence[Mask]) -> list[Tile]:
    """Choose the tiles of an example to learn from: at most `SHOWING` + `EMPTY`.

    Parameters
    ----------
    tiles : sequence of Tile
        All of the picture.
    masks : sequence of array
        (H, W), of each class.
    """
    shown = [max(int((tile.cut(mask) == 1).sum()) for mask in masks) for tile in tiles]
    order = sorted(range(len(tiles)), key=lambda place: -shown[place])
    showing = [place for place in order if shown[place]][:SHOWING]
    empty = [place for place in range(len(tiles)) if not shown[place]]
    kept = {*showing, *empty[:: max(1, -(-len(empty) // EMPTY))]}
    return [tiles[place] for place in sorted(kept)]


def soft_masks(
    method: SegmentationMethod, image: Image, states: Sequence[Any], zoom: Zoom
) -> tuple[Tensor, Tensor]:
    """Segment a picture by several classes, tile by tile where it is large.

    Tiles are blended where they overlap, and a class is as surely there as in the tile that shows
    it best. Beside the picture only one tile's features are in memory.

    Returns
    -------
    masks : Tensor
        (classes, h, w) in [0, 1], over the whole picture.
    presence : Tensor
        (classes,) in [0, 1].
    """
    height, width = image.shape[:2]
    tiles = zoom.tiles((height, width))
    if len(tiles) == 1:
        answer = method.answer(encode_tiles(method, image, tiles)[0], states)
        return answer.masks.float().cpu(), answer.presence.float().cpu()
    factor = zoom.factor_at((height, width)) / _GRID
    rows, columns = math.ceil(height * factor), math.ceil(width * factor)
    total, weights = torch.zeros(len(states), rows, columns), torch.zeros(rows, columns)
    presence = torch.zeros(len(states))
    for tile in tiles:
        answer = method.answer(encode_tiles(method, image, [tile])[0], states)
        top, bottom = round(tile.top * rows / height), round(tile.bottom * rows / height)
        left, right = round(tile.left * columns / width), round(tile.right * columns / width)
        size = (bottom - top, right - left)
        weight = _tent(size[0])[:, None] * _tent(size[1])
        part = at_size(answer.masks.float().cpu(), size)
        total[:, top:bottom, left:right] += weight * part
        weights[top:bottom, left:right] += weight
        presence = presence.maximum(answer.presence.float().cpu())
    return total / weights, presence


def decide_at(
    soft: Tensor, size: tuple[int, int], strip: int = 512, cut: float = CUT
) -> NDArray[np.bool_]:
    """Resize soft masks to `size` and give every pixel to its surest class, or to none.

    The same as `segmenter.at_size` and `segmenter.decide` one after the other, but a strip of
    rows at a time: a picture of 100 million pixels needs no soft mask of its size.

    Parameters
    ----------
    soft : Tensor
        (classes, h, w) in [0, 1].
    size : (int, int)
        Height and width of the picture.
    strip : int
        Rows at a time.
    cut : float
        The value from which on a pixel belongs to a class.

    Returns
    -------
    ndarray
        (classes, H, W) bool.
    """
    height, width = size
    low, high, share = _between(soft.shape[1], height)
    before, after, along = _between(soft.shape[2], width)
    found = np.zeros((len(soft), height, width), bool)
    number = torch.arange(len(soft))[:, None, None]
    for start in range(0, height, strip):
        part = slice(start, start + strip)
        lines = soft[:, low[part]].lerp(soft[:, high[part]], share[part, None])
        values = lines[:, :, before].lerp(lines[:, :, after], along)
        surest = values.argmax(0)[None] == number
        found[:, part] = (surest & (values >= cut)).numpy()
    return found


def _between(cells: int, pixels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each pixel the cells before and after it, and the share of the second."""
    place = ((torch.arange(pixels) + 0.5) * cells / pixels - 0.5).clamp(0, cells - 1)
    low = place.floor().long()
    return low, (low + 1).clamp(max=cells - 1), (place - low).float()


def _spans(length: int, factor: float) -> list[tuple[int, int]]:
    """Return where tiles begin and end along one side, evenly spread."""
    if length * factor <= 1.5 * TILE:
        return [(0, length)]
    count = math.ceil((length * factor - OVERLAP) / (TILE - OVERLAP))
    tile = min(length, math.ceil(TILE / factor))
    starts = np.linspace(0, length - tile, count).round().astype(int).tolist()
    return [(start, start + tile) for start in starts]


def _seen(length: int, factor: float) -> int:
    return max(_LEAST, round(length * factor))


def _tent(length: int) -> Tensor:
    """Return weights that rise from an edge to the middle and fall again, none of them 0."""
    place = torch.arange(length) + 0.5
    return torch.minimum(place, length - place)
