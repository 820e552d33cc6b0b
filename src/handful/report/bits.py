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
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.data.pictures import decode_ahead
from handful.errors import InputError
from handful.images.draw import fit
from handful.methods.hashing.base import Indices
from handful.methods.hashing.library import HashLibrary
from handful.report.style import COLOURS, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Picture = NDArray[np.uint8]

SHARES = (0.3, 0.7)
"""Of photos with 1: a bit outside hardly tells these photos apart."""

CORRELATION = 0.3
"""Bits that are shown together are less alike than this."""

ONE, ZERO, EXAMPLE = COLOURS[0], COLOURS[1], COLOURS[2]
"""Of the two ends, and of examples."""

_CELL, _GAP, _MARGIN, _LABEL, _BAR, _LINE = 104, 6, 16, 140, 26, 17
_PIXELS = 2 * _CELL  # a figure is written at twice its units
_TEXT, _SOFT = "#1b2330", "#66717f"
_BLOCK, _CHUNK = 128, 4096


@dataclass(frozen=True)
class Ends:
    """A bit and the photos at its ends.

    Attributes
    ----------
    number : int
        Of the function in its library.
    ones : float
        Share of all photos with 1, in [0, 1].
    low, high : tuple of (photo, margin)
        Photos by number: those with the lowest margins and those with the highest, both from low
        to high.
    examples : tuple of float
        Margins of the examples, if there are some.
    """

    number: int
    ones: float
    low: tuple[tuple[int, float], ...]
    high: tuple[tuple[int, float], ...]
    examples: tuple[float, ...] = ()

    @property
    def example_ones(self) -> int:
        """How many examples have 1."""
        return sum(margin > 0 for margin in self.examples)

    @property
    def end(self) -> int | None:
        """The bit, 0 or 1, that most examples have; None without examples, or at a draw."""
        twice, count = 2 * self.example_ones, len(self.examples)
        return None if twice == count else int(twice > count)

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """Return what the row shows, with the names of the photos."""
        sides = {
            side: [{"photo": names[photo], "margin": round(margin, 4)} for photo, margin in found]
            for side, found in (("0", self.low), ("1", self.high))
        }
        value: dict[str, Any] = {"bit": self.number, "ones": round(self.ones, 4), "ends": sides}
        if self.examples:
            margins = [round(margin, 4) for margin in self.examples]
            value["examples"] = {"end": self.end, "ones": self.example_ones, "margins": margins}
        return value


def ends_of(
    library: HashLibrary,
    bits: Sequence[int],
    features: ArrayLike,
    count: int,
    examples: ArrayLike | None = None,
) -> list[Ends]:
    """Find the photos at the ends of some bits.

    Parameters
    ----------
    library : HashLibrary
        The functions.
    bits : sequence of int
        Their numbers, 0 to n - 1.
    features : array_like
        Of the photos, (N, D).
    count : int
        How many photos stand at each end.
    examples : array_like, optional
        Features (E, D) of examples.

    Raises
    ------
    InputError
        No such bit, fewer photos than both ends take, or features of other dimensions.

    Examples
    --------
    >>> library = HashLibrary(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    >>> (found,) = ends_of(library, [1], [[0, 1], [0.6, -0.8], [0.8, 0.6]], 1)
    >>> [photo for photo, _ in found.low], [photo for photo, _ in found.high], round(found.ones, 2)
    ([1], [0], 0.67)
    """
    outside = [bit for bit in bits if not 0 <= bit < len(library)]
    if outside:
        raise InputError(f"bit {outside[0]}: the library has bits 0 to {len(library) - 1}")
    rows = np.asarray(features)
    if len(rows) < 2 * count:
        raise InputError(
            f"{len(rows)} photos are too few for two ends of {count}: give {2 * count} or more,"
            " or fewer photos per end"
        )
    taken = library.take(bits)
    margins = taken.margins(rows)
    given = None if examples is None else taken.margins(examples)
    found = []
    for column, bit in enumerate(bits):
        values = margins[:, column]
        order = np.argsort(values, kind="stable")
        low, high = (
            tuple((int(photo), float(values[photo])) for photo in part)
            for part in (order[:count], order[-count:])
        )
        at = () if given is None else tuple(given[:, column].tolist())
        found.append(Ends(bit, float((values > 0).mean()), low, high, at))
    return found


def telling_bits(library: HashLibrary, features: ArrayLike, count: int) -> Indices:
    """Choose the bits that photos lie farthest from on average, and that differ.

    A bit is taken where the share of photos with 1 is within `SHARES`, by the mean of its absolute
    margins, unless its correlation with one taken before is `CORRELATION` or more, either way.

    Parameters
    ----------
    library : HashLibrary
        The functions.
    features : array_like
        Of the photos, (N, D).
    count : int
        How many bits.

    Returns
    -------
    ndarray
        Numbers of functions, (count,) or fewer where no others differ; at least one.

    Raises
    ------
    InputError
        No bit divides the photos so evenly.
    """
    rows = np.asarray(features)
    ones, strength = np.zeros(len(library)), np.zeros(len(library))
    for start in range(0, len(rows), _CHUNK):
        margins = library.margins(rows[start : start + _CHUNK])
        ones += (margins > 0).sum(0)
        strength += np.abs(margins).sum(0, dtype=np.float64)
    even = (ones >= SHARES[0] * len(rows)) & (ones <= SHARES[1] * len(rows))
    order = np.argsort(-strength, kind="stable")
    order = order[even[order]]
    if not len(order):
        least, most = (f"{100 * share:.0f}" for share in SHARES)
        raise InputError(
            f"no bit is 1 for {least} to {most} % of the photos: give --bit, or more photos"
        )
    chosen: list[int] = []
    signs: list[NDArray[np.float32]] = []
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        bits = np.asarray(library.take(block).margins(rows) > 0, np.float32)
        # of a bit that is neither always 0 nor always 1, so that no deviation is 0
        bits = (bits - bits.mean(0)) / bits.std(0)
        for bit, column in zip(block.tolist(), bits.T, strict=True):
            if all(abs(column @ other) < CORRELATION * len(rows) for other in signs):
                chosen.append(bit)
                signs.append(column)
            if len(chosen) == count:
                return np.array(chosen)
    return np.array(chosen)


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
