"""What was found: a contact sheet of the examples and the matches, and a section of a page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handful.answers.matches import Match, Matches
from handful.data.pictures import Picture, decode_ahead, title
from handful.files import replacing
from handful.images import resize_short
from handful.images.draw import Colour, caption, fit, outline
from handful.report.page import Section, inline, render

EXAMPLE, UNLIKE = "#0072b2", "#d55e00"

_CELL, _GAP, _COLUMNS = 180, 10, 6
_PAGE_SIDE = 220


@dataclass(frozen=True)
class MatchSheet:
    """Matches and what they were found by.

    Attributes
    ----------
    matches : Matches
        What was found.
    examples, not_examples : sequence of pictures
        What was given.
    most : int
        So many matches are shown, the first.
    """

    matches: Matches
    examples: Sequence[Picture]
    not_examples: Sequence[Picture] = field(default=())
    most: int = 60

    @property
    def lead(self) -> str:
        """One line that says what the sheet shows."""
        shown, total = len(self._shown), len(self.matches)
        first = f"the first {shown} of {total}" if shown < total else f"{total}"
        given = len(self.matches.examples)
        how = {
            "exact": "every picture compared",
            "shortlist": "a shortlist by codes, ranked by features",
            "codes": f"codes of {self.matches.bits} bits alone",
        }[self.matches.search]
        return (
            f"{first} of {self.matches.images:,} pictures, from"
            f" {given} example{'s' * (given != 1)} ({self.matches.model}; {how})"
        )

    def sheet(self) -> NDArray[np.uint8]:
        """Return the contact sheet: examples above, matches below by rank, (H, W, 3) uint8."""
        given = [
            caption(outline(fit(image, _CELL), colour), _stem(name), colour)
            for name, image, colour in self._given
        ]
        found = [
            caption(fit(image, _CELL), f"{rank}.  {match.score:.2f}  {Path(match.image).name}")
            for rank, match, image in self._found
        ]
        line = np.full((2, _GAP + _COLUMNS * (_CELL + _GAP), 3), 200, np.uint8)
        parts = [_rows(given), line, _rows(found)] if found else [_rows(given)]
        return np.concatenate(parts)

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Write `sheet` as a PNG; whole or not at all."""
        with replacing(path) as part:
            Image.fromarray(self.sheet()).save(part, "PNG", optimize=True)

    def section(self, title: str) -> Section:
        """Return the examples and the matches as a section of a page."""
        body = render(
            "matches.html",
            matches=self.matches,
            given=[
                (_stem(name), inline(_small(image)), colour) for name, image, colour in self._given
            ],
            found=[
                (rank, match, Path(match.image).name, inline(_small(image)))
                for rank, match, image in self._found
            ],
        )
        return Section(title, body)

    @property
    def _shown(self) -> tuple[Match, ...]:
        return self.matches.results[: self.most]

    @cached_property
    def _given(self) -> list[tuple[str, NDArray[np.uint8], Colour]]:
        pairs = [(picture, EXAMPLE) for picture in self.examples]
        pairs += [(picture, UNLIKE) for picture in self.not_examples]
        images = _read(picture for picture, _ in pairs)
        return [
            (title(pairs[place][0]) or f"example {place + 1}", image, pairs[place][1])
            for place, image in images
        ]

    @cached_property
    def _found(self) -> list[tuple[int, Match, NDArray[np.uint8]]]:
        images = _read(match.image for match in self._shown)
        return [(place + 1, self._shown[place], image) for place, image in images]


def _read(pictures: Iterable[Picture]) -> list[tuple[int, NDArray[np.uint8]]]:
    """Decode pictures small, with the place of each; one that is gone by now is left out."""
    return [
        (place, _small(image))
        for batch in decode_ahead(pictures, skipped=[], at_least=_PAGE_SIDE)
        for place, image in zip(batch.places, batch.images, strict=True)
    ]


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return resize_short(image, _PAGE_SIDE) if min(image.shape[:2]) > _PAGE_SIDE else image


def _stem(name: str) -> str:
    return Path(name).name


def _rows(cells: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Lay cells of one size out in rows of `_COLUMNS`."""
    width = _GAP + _COLUMNS * (_CELL + _GAP)
    if not cells:
        return np.full((_GAP, width, 3), 255, np.uint8)
    high = cells[0].shape[0]
    sheet = np.full((_GAP + -(-len(cells) // _COLUMNS) * (high + _GAP), width, 3), 255, np.uint8)
    for place, cell in enumerate(cells):
        top = _GAP + place // _COLUMNS * (high + _GAP)
        left = _GAP + place % _COLUMNS * (_CELL + _GAP)
        sheet[top : top + high, left : left + _CELL] = cell
    return sheet
