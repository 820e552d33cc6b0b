"""What figures of few-shot segmentation are made of: episodes as panels, panels as sheets.

Yellow is what the support marks, and where prediction and truth agree; red is what was predicted
and green what is true alone, as in A. Shaban et al., "One-shot learning for semantic segmentation",
2017 (here in hues that people with any kind of colour vision tell apart).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.answers.explanation import AttentionMap
from handful.data.segmentation.photos import resized_mask
from handful.images import resize
from handful.images.draw import caption, fit
from handful.report import explanation

Picture = NDArray[np.uint8]
Panel = tuple[Picture, str]
"""A picture and the line below it."""

CELL, GAP, TEXT = 220, 8, 12
"""Side of a panel, what lies between two, and the height of letters, in pixels."""

YELLOW, RED, GREEN = (240, 228, 66), (213, 60, 0), (0, 158, 115)

_STRENGTH = 0.6


@dataclass(frozen=True, eq=False)
class Example:
    """A photo and where its object is: (H, W, 3) uint8, and (H, W) of which 1 is the object."""

    image: Picture
    mask: NDArray[Any]

    def draw(self) -> Picture:
        """Return the photo with its mask in yellow."""
        return tinted(self.image, [(self.mask == 1, YELLOW)])


@dataclass(frozen=True, eq=False)
class Episode:
    """One answer to show.

    Attributes
    ----------
    number : int
        Its place among the episodes.
    label : str
        The class.
    support : tuple of Example
        What taught it.
    image : ndarray
        The query, (H, W, 3) uint8.
    found : ndarray
        (H, W) bool, the prediction.
    truth : ndarray
        (H, W) uint8: 1, 0, or 255 for void.
    paths : dict
        What the query and the examples are called, for the list beside the figure.
    """

    number: int
    label: str
    support: tuple[Example, ...]
    image: Picture
    found: NDArray[np.bool_]
    truth: NDArray[np.uint8]
    paths: Mapping[str, Any] = field(default_factory=dict)

    @property
    def iou(self) -> float:
        """Overlap of prediction and truth, in [0, 1]; void counts nowhere."""
        known = self.truth != 255
        there = self.truth == 1
        either = int(((self.found | there) & known).sum())
        return int((self.found & there).sum()) / either if either else 1.0

    @property
    def line(self) -> str:
        """What stands below the answer."""
        return f"#{self.number} {self.label}: IoU {self.iou:.2f}"

    def taught(self) -> Panel:
        """Return the support, its masks in yellow."""
        shots = len(self.support)
        pictures = [example.draw() for example in self.support]
        return mosaic(pictures), self.label if shots == 1 else f"{self.label}, {shots} shots"

    def predicted(self) -> Panel:
        """Return the query with the prediction in red."""
        return tinted(self.image, [(self.found, RED)]), self.line

    def compared(self) -> Panel:
        """Return the query with prediction, truth and where they agree."""
        return compared(self.image, self.found, self.truth), self.line

    def true(self) -> Panel:
        """Return the query with the truth in green."""
        return tinted(self.image, [(self.truth == 1, GREEN)]), "truth"

    def to_dict(self) -> dict[str, Any]:
        """Return what the figure shows, for the list beside it."""
        shown = {"episode": self.number, "class": self.label, "shots": len(self.support)}
        return {**shown, "iou": round(self.iou, 4), **self.paths}


def tinted(
    image: Picture, marks: Sequence[tuple[NDArray[np.bool_], tuple[int, int, int]]]
) -> Picture:
    """Lay colours over parts of a picture, and draw their outlines.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8; a large one is shrunk to what a panel shows.
    marks : sequence of (ndarray, colour)
        (H, W) bool each, and red, green, blue.

    Examples
    --------
    >>> mask = np.zeros((8, 8), bool)
    >>> mask[2:6, 2:6] = True
    >>> drawn = tinted(np.zeros((8, 8, 3), np.uint8), [(mask, (200, 100, 0))])
    >>> drawn[0, 0].tolist(), drawn[3, 3].tolist(), drawn[2, 2].tolist()
    ([0, 0, 0], [120, 60, 0], [200, 100, 0])
    """
    height, width = image.shape[:2]
    scale = min(1.0, 2 * CELL / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    drawn = np.array(resize(image, size), np.float32)
    for mask, colour in marks:
        small = resized_mask(mask.astype(np.uint8), size) == 1
        tint = np.array(colour, np.float32)
        drawn[small] = (1 - _STRENGTH) * drawn[small] + _STRENGTH * tint
        drawn[small & ~_inside(small)] = tint
    return np.asarray(drawn.round(), np.uint8)


def compared(image: Picture, found: NDArray[np.bool_], truth: NDArray[np.uint8]) -> Picture:
    """Mark prediction alone in red, truth alone in green, and where they agree in yellow."""
    there = truth == 1
    marks = [(found & there, YELLOW), (found & ~there & (truth != 255), RED)]
    return tinted(image, [*marks, (there & ~found, GREEN)])


def heated(image: Picture, heat: NDArray[np.floating[Any]]) -> Picture:
    """Lay a map over the picture that it covers, from its smallest value to its largest.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8.
    heat : ndarray
        (h, w); a constant map marks nothing.
    """
    values = np.asarray(heat, np.float32)
    low, high = float(values.min()), float(values.max())
    grid = (values - low) / (high - low) if high > low else np.zeros_like(values)
    size = (image.shape[0], image.shape[1])
    found = AttentionMap(None, "anchor", grid, size, (0, 0, size[1], size[0]))
    return explanation.overlay(image, found)


def mosaic(pictures: Sequence[Picture]) -> Picture:
    """Put several pictures into one, in a grid of as many columns as its root, or one more."""
    if len(pictures) == 1:
        return pictures[0]
    columns = int(np.ceil(np.sqrt(len(pictures))))
    side = 2 * CELL // columns
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * side, columns * side, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * side, place % columns * side
        sheet[top : top + side - 2, left : left + side - 2] = fit(picture, side - 2)
    return sheet


def sheet(
    rows: Sequence[Sequence[Panel | None]],
    foot: Sequence[str],
    headings: Sequence[str] = (),
) -> Picture:
    """Lay panels out in rows, with headings above the columns and lines of text below.

    Parameters
    ----------
    rows : sequence of sequence of (Panel or None)
        Of equal length; None stays empty.
    foot : sequence of str
        Each is broken where the sheet ends.
    headings : sequence of str
        One for each column, or none.

    Returns
    -------
    ndarray
        (H, W, 3) uint8.
    """
    columns = len(rows[0])
    width = GAP + columns * (CELL + GAP)
    bands = [_band([_line(heading) for heading in headings], width)] if headings else []
    for row in rows:
        high = max(_height(panel[0]) for panel in row if panel is not None)
        trim = (CELL - high) // 2
        cells = [
            None
            if panel is None
            else caption(fit(panel[0], CELL)[trim : trim + high], panel[1], size=TEXT)
            for panel in row
        ]
        bands.append(_band(cells, width))
    picture = np.pad(np.concatenate(bands), ((GAP, 0), (0, 0), (0, 0)), constant_values=255)
    for line in (part for text in foot for part in textwrap.wrap(text, width // 7)):
        picture = caption(picture, line, "#444444", TEXT)
    return np.pad(picture, ((0, GAP), (0, 0), (0, 0)), constant_values=255)


def _line(text: str) -> Picture:
    return caption(np.full((1, CELL, 3), 255, np.uint8), text, size=TEXT + 1)


def _height(picture: Picture) -> int:
    """Return how high a picture stands in its panel."""
    high, wide = int(picture.shape[0]), int(picture.shape[1])
    return min(CELL, -(-CELL * high // max(high, wide)))


def _band(cells: Sequence[Picture | None], width: int) -> Picture:
    """Lay cells of one height side by side; None stays empty."""
    high = max(len(cell) for cell in cells if cell is not None)
    band = np.full((high + GAP, width, 3), 255, np.uint8)
    for column, cell in enumerate(cells):
        if cell is not None:
            left = GAP + column * (CELL + GAP)
            band[: len(cell), left : left + CELL] = cell
    return band


def _inside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels whose four neighbours belong to the mask too."""
    wide = np.pad(mask, 1)
    around = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    inside: NDArray[np.bool_] = mask & around
    return inside
