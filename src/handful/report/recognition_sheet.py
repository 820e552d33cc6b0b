"""Recognition on one picture: the support above, every query with its answer below."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handful.files import replacing
from handful.images import read

if TYPE_CHECKING:
    from handful.report.recognition import Case, Recognition

# in pixels of the finished picture
WIDTH, MARGIN = 1400, 30
CELL, CELL_HEIGHT, THUMB = 134, 114, 58
EXAMPLE, EXAMPLE_HEIGHT = 67, 82
DPI = 100

TEXT, SOFT, LINE, GOOD, BAD = "#1b2330", "#66717f", "#d5dae1", "#157347", "#c02a37"


def draw(recognition: Recognition, path: str | os.PathLike[str]) -> None:
    """Write the picture of a recognition as a PNG, 1400 pixels wide.

    Parameters
    ----------
    recognition : Recognition
        What to show.
    path : path-like
        The PNG to write.
    """
    cases = list(recognition.cases)
    sheet = _Sheet(recognition.examples)
    title = f"{len(sheet.examples)} characters, known from {recognition.shots} each"
    sheet.heading(title, _facts(recognition.counts()))
    sheet.support()
    sheet.queries(
        "Drawings by other people, each with the answer",
        [case for case in cases if case.truth is not None],
    )
    sheet.queries(
        "Strangers: characters of an alphabet that it was not given",
        [case for case in cases if case.truth is None],
    )
    sheet.write(path)


def _facts(counts: Mapping[str, Any]) -> str:
    facts = f"{counts['model']}: {counts['right']} of {counts['known']} drawings named rightly"
    if counts["strangers"]:
        facts += (
            f", {counts['strangers_rejected']} of {counts['strangers']} strangers answered"
            " “none of these”"
        )
    rival = counts["nearest_neighbour_right"]
    return f"{facts}.  Nearest neighbour of pixels: {rival} of {counts['known']}."


class _Sheet:
    """A sheet that is filled from the top; coordinates are pixels, y grows downwards."""

    def __init__(self, examples: Mapping[str, NDArray[np.uint8]]) -> None:
        from matplotlib.figure import Figure

        self.examples = examples
        self.figure = Figure(figsize=(WIDTH / DPI, WIDTH / DPI), dpi=DPI)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.y = float(MARGIN)

    def heading(self, title: str, facts: str) -> None:
        self._text(MARGIN, self.y + 12, title, 20, weight="bold")
        self._text(MARGIN, self.y + 44, facts, 11.5, colour=SOFT)
        self.y += 72

    def support(self) -> None:
        per_row = (WIDTH - 2 * MARGIN) // EXAMPLE
        for place, (label, image) in enumerate(self.examples.items()):
            left = MARGIN + place % per_row * EXAMPLE
            top = self.y + place // per_row * EXAMPLE_HEIGHT
            self._image(image, left + 2, top, EXAMPLE - 9, LINE)
            self._text(left + 2 + (EXAMPLE - 9) / 2, top + 67, label, 6.5, SOFT, align="center")
        self.y += -(-len(self.examples) // per_row) * EXAMPLE_HEIGHT + 6

    def queries(self, title: str, cases: Sequence[Case]) -> None:
        if not cases:
            return
        self.axes.plot([MARGIN, WIDTH - MARGIN], [self.y + 4] * 2, color=LINE, linewidth=1)
        self._text(MARGIN, self.y + 24, title, 12, weight="bold")
        self.y += 44
        per_row = (WIDTH - 2 * MARGIN) // CELL
        for place, case in enumerate(cases):
            self._case(
                case,
                MARGIN + place % per_row * CELL,
                self.y + place // per_row * CELL_HEIGHT,
            )
        self.y += -(-len(cases) // per_row) * CELL_HEIGHT

    def write(self, path: str | os.PathLike[str]) -> None:
        height = self.y + MARGIN / 2
        self.figure.set_size_inches(WIDTH / DPI, height / DPI)
        self.axes.set(xlim=(0, WIDTH), ylim=(height, 0), aspect="auto")
        self.axes.axis("off")
        with replacing(path) as part:
            self.figure.savefig(part, metadata={"Software": None})

    def _case(self, case: Case, left: float, top: float) -> None:
        assert case.answer.image is not None
        colour = GOOD if case.right else BAD
        other = left + THUMB + 4
        self._image(read(case.answer.image), left, top, THUMB, LINE)
        label = case.answer.label
        if label is None:
            self._box(other, top, THUMB, colour, style=(0, (4, 3)))
            self._text(other + THUMB / 2, top + 23, "none of", 8, colour, align="center")
            self._text(other + THUMB / 2, top + 36, "these", 8, colour, align="center")
        else:
            self._image(self.examples[label], other, top, THUMB, colour, width=2)
        mark = "✓" if case.right else "✗"
        self._text(left, top + 71, label or "none of these", 7.5, weight="bold")
        self._text(
            other + THUMB, top + 71, f"{mark} {case.answer.score:.2f}", 7.5, colour, "right", "bold"
        )
        rival = f"pixels: {case.rival} {'✓' if case.rival_right else '✗'}"
        self._text(left, top + 86, rival, 7, SOFT)

    def _image(
        self,
        image: NDArray[np.uint8],
        left: float,
        top: float,
        side: float,
        colour: str,
        width: float = 1,
    ) -> None:
        extent = (left, left + side, top + side, top)
        self.axes.imshow(image, extent=extent, interpolation="hanning", aspect="auto")
        self._box(left, top, side, colour, width=width)

    def _box(
        self,
        left: float,
        top: float,
        side: float,
        colour: str,
        width: float = 1.5,
        style: Any = "solid",
    ) -> None:
        from matplotlib.patches import FancyBboxPatch

        self.axes.add_patch(
            FancyBboxPatch(
                (left, top),
                side,
                side,
                boxstyle="round,pad=0,rounding_size=5",
                fill=False,
                edgecolor=colour,
                linewidth=width,
                linestyle=style,
                zorder=3,
            )
        )

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: str = TEXT,
        align: str = "left",
        weight: str = "normal",
    ) -> None:
        self.axes.text(
            x, y, text, fontsize=size, color=colour, ha=align, va="center", fontweight=weight
        )
