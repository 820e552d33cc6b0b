"""Bits of a code as rows of photos: what a hash function has at its two ends.

Y.-X. Wang, L. Gui, M. Hebert, "Few-shot hash learning for image retrieval", ICCV workshops 2017,
figure 7: on the two sides of a bar the photos that a function is surest of. There the bits were
picked out by eye; here by their margins, so that the same photos give the same figure.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handful.data.pictures import decode_ahead
from handful.images.draw import fit
from handful.report.bit_ends import Ends
from handful.report.style import COLOURS, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Picture = NDArray[np.uint8]

ONE, ZERO, EXAMPLE = COLOURS[0], COLOURS[1], COLOURS[2]
"""Of the two ends, and of examples."""

_CELL, _GAP, _MARGIN, _LABEL, _BAR, _LINE = 104, 6, 16, 140, 26, 17
_PIXELS = 2 * _CELL  # a figure is written at twice its units
_TEXT, _SOFT = "#1b2330", "#66717f"


def thumbnails(paths: Mapping[int, Path]) -> dict[int, Picture]:
    """Decode photos, each in a square as the figure shows it; the keys stay."""
    keys = [*paths]
    return {
        keys[place]: thumbnail(image)
        for batch in decode_ahead(paths.values(), at_least=_PIXELS)
        for place, image in zip(batch.places, batch.images, strict=True)
    }


def thumbnail(image: Picture) -> Picture:
    """Bring a picture into a square as the figure shows it."""
    return fit(image, _PIXELS)


def draw_bits(
    path: str | os.PathLike[str],
    rows: Sequence[Ends],
    pictures: Sequence[tuple[Mapping[int, Picture], Mapping[int, Picture]]],
    foot: Sequence[str],
    examples: Sequence[Picture] = (),
    total: int | None = None,
) -> None:
    """Draw bits, one in a row, with the photos at their ends.

    Parameters
    ----------
    path : path-like
        The PNG to write.
    rows : sequence of Ends
        The bits.
    pictures : sequence of (mapping, mapping)
        For each bit the photos (H, W, 3) uint8 of its low end and of its high end, by number.
    foot : sequence of str
        What stands below, each broken where the figure ends.
    examples : sequence of ndarray
        Examples, above the rows; as many as fit are shown.
    total : int, optional
        How many examples there are, where not all are given.
    """
    from matplotlib.figure import Figure

    sheet = _Sheet(len(rows[0].low))
    lines = [
        part
        for text in foot
        for part in textwrap.wrap(text, int((sheet.width - 2 * _MARGIN) / 7.2))
    ]
    first = _MARGIN + (_CELL + 2 * _LINE if examples else 0)
    step = _CELL + _LINE + 2 * _GAP
    below = first + 22 + step * len(rows)
    height = below + _LINE * len(lines) + _MARGIN
    figure = Figure(figsize=(sheet.width / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    if examples:
        sheet.examples(axes, _MARGIN, examples, total or len(examples))
    sheet.heads(axes, first + 8)
    for row, (ends, (low, high)) in enumerate(zip(rows, pictures, strict=True)):
        sheet.row(axes, first + 22 + row * step, ends, low, high)
    for number, line in enumerate(lines):
        axes.text(_MARGIN, below + _LINE * (number + 0.5), line, fontsize=8.5, color=_SOFT)
    axes.set(xlim=(0, sheet.width), ylim=(height, 0), aspect="auto")
    save(figure, path)


@dataclass(frozen=True)
class _Sheet:
    """Where things stand, in hundredths of an inch from the top left."""

    count: int

    @property
    def width(self) -> int:
        return self.left(2 * self.count) - _GAP + _MARGIN

    @property
    def bar(self) -> float:
        return self.left(self.count) - (_BAR + _GAP) / 2

    def left(self, place: int) -> int:
        """Return where the photo at a place begins, counted over both ends."""
        aside = _BAR if place >= self.count else 0
        return _MARGIN + _LABEL + place * (_CELL + _GAP) + aside

    def heads(self, axes: Axes, y: float) -> None:
        ends = ((self.bar - 14, "right", ZERO, "← 0"), (self.bar + 14, "left", ONE, "1 →"))
        for x, side, colour, text in ends:
            axes.text(x, y, text, fontsize=11, weight="bold", color=colour, ha=side, va="center")

    def examples(self, axes: Axes, top: float, pictures: Sequence[Picture], total: int) -> None:
        shown = pictures[: 2 * self.count]
        axes.text(_MARGIN, top + 20, "examples", fontsize=11, weight="bold", color=EXAMPLE)
        said = f"{total}" if len(shown) == total else f"{len(shown)} of {total}"
        axes.text(_MARGIN, top + 38, said, fontsize=9, color=_SOFT)
        for place, picture in enumerate(shown):
            left = _MARGIN + _LABEL + place * (_CELL + _GAP)
            axes.imshow(picture, extent=(left, left + _CELL, top + _CELL, top))
        y = top + _CELL + _LINE / 2
        axes.plot([_MARGIN, self.width - _MARGIN], [y, y], color="#c8c8c8", linewidth=1)

    def row(
        self,
        axes: Axes,
        top: float,
        ends: Ends,
        low: Mapping[int, Picture],
        high: Mapping[int, Picture],
    ) -> None:
        axes.text(_MARGIN, top + 34, f"bit {ends.number}", fontsize=11, weight="bold", color=_TEXT)
        axes.text(_MARGIN, top + 52, f"1 for {100 * ends.ones:.0f} %", fontsize=9, color=_SOFT)
        bar = [self.bar, self.bar]
        axes.plot(bar, [top, top + _CELL], color="black", linewidth=4, solid_capstyle="butt")
        for start, found, pictures in ((0, ends.low, low), (self.count, ends.high, high)):
            for place, (photo, margin) in enumerate(found, start):
                left = self.left(place)
                axes.imshow(pictures[photo], extent=(left, left + _CELL, top + _CELL, top))
                colour, y = ONE if margin > 0 else ZERO, top + _CELL + _LINE / 2 + 1
                text = f"{margin:+.2f}".replace("-", "\N{MINUS SIGN}")
                axes.text(
                    left + _CELL / 2, y, text, fontsize=8, color=colour, ha="center", va="center"
                )
        if ends.examples:
            self._where(axes, top, ends)

    def _where(self, axes: Axes, top: float, ends: Ends) -> None:
        """Say at which end the examples are."""
        many, ones = len(ends.examples), ends.example_ones
        at = "both" if ends.end is None else str(ends.end)
        text = f"examples: {at} ({max(ones, many - ones)} of {many})"
        axes.text(_MARGIN, top + 70, text, fontsize=9, color=EXAMPLE)
        if ends.end is not None:
            x = [self.left(ends.end * self.count), 0.0]
            x[1] = self.left((ends.end + 1) * self.count - 1) + _CELL
            y = top - _GAP / 2
            axes.plot(x, [y, y], color=EXAMPLE, linewidth=3, solid_capstyle="butt")
