"""Objects named in photos, with known truth: counts, a confusion matrix, a section, a picture."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from handful.answers import Label, Labels
from handful.data.support import Support
from handful.files import replacing
from handful.images import read
from handful.images.draw import caption, fit
from handful.report.page import Section, inline, render

# told apart by people with any kind of colour vision (M. Okabe and K. Ito, 2008)
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
REJECTED = "#000000"
NONE = "none of these"

_COLUMNS, _GAP, _EXAMPLE, _WIDTH = 3, 12, 96, 1200


@dataclass(frozen=True)
class Objects:
    """A support, and objects of photos with what was answered and what they are.

    Attributes
    ----------
    support : Support
        The labelled examples.
    answers : Labels
        What was answered; every answer has a box.
    truth : tuple of str
        What each object is.
    """

    support: Support
    answers: Labels
    truth: tuple[str, ...]

    @cached_property
    def colours(self) -> dict[str, str]:
        """The colour of each class of the support."""
        places = enumerate(self.support.classes)
        return {label: PALETTE[place % len(PALETTE)] for place, label in places}

    @cached_property
    def photos(self) -> dict[str, list[tuple[Label, str]]]:
        """The objects of each photo, as answer and truth."""
        found: dict[str, list[tuple[Label, str]]] = {}
        for answer, truth in zip(self.answers, self.truth, strict=True):
            assert answer.image is not None
            found.setdefault(answer.image, []).append((answer, truth))
        return found

    def counts(self) -> dict[str, Any]:
        """Count the objects.

        Returns
        -------
        dict
            ``right`` of ``objects`` named rightly, ``found`` (how many of each class were
            answered) and ``confusion`` (by truth, then by answer; "none of these" is one).
        """
        pairs = Counter(
            (truth, answer.label or NONE)
            for answer, truth in zip(self.answers, self.truth, strict=True)
        )
        classes = [*self.support.classes, NONE]
        right = sum(count for (truth, answer), count in pairs.items() if truth == answer)
        return {
            "model": self.answers.model,
            "backbone": self.answers.backbone,
            "threshold": self.answers.threshold,
            "examples": len(self.support),
            "photos": len(self.photos),
            "objects": len(self.truth),
            "right": right,
            "accuracy": right / len(self.truth),
            "found": {label: sum(pairs[true, label] for true in classes) for label in classes},
            "confusion": {
                true: {label: pairs[true, label] for label in classes}
                for true in self.support.classes
            },
        }

    def sheet(self) -> NDArray[np.uint8]:
        """Return the examples above, every photo with its named boxes below: (H, W, 3) uint8."""
        photos = [self._marked(path) for path in self.photos]
        high, wide = max(p.shape[0] for p in photos), max(p.shape[1] for p in photos)
        examples = [
            caption(fit(image, _EXAMPLE), label, self.colours[label])
            for label, image in self._examples()
        ]
        rows = -(-len(photos) // _COLUMNS)
        top = 2 * _GAP + examples[0].shape[0]
        width = _GAP + _COLUMNS * (wide + _GAP)
        sheet = np.full((top + rows * (high + _GAP), width, 3), 255, np.uint8)
        for place, example in enumerate(examples[: (width - _GAP) // (_EXAMPLE + _GAP)]):
            _put(sheet, example, _GAP, _GAP + place * (_EXAMPLE + _GAP))
        for place, photo in enumerate(photos):
            row, column = divmod(place, _COLUMNS)
            _put(sheet, photo, top + row * (high + _GAP), _GAP + column * (wide + _GAP))
        return sheet

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Write `sheet`, at most 1,200 pixels wide, as a PNG; whole or not at all."""
        picture = Image.fromarray(self.sheet())
        picture.thumbnail((_WIDTH, picture.height))
        with replacing(path) as part:
            picture.save(part, "PNG", optimize=True)

    def section(self, title: str) -> Section:
        """Return the counts and every photo as a section of a page."""
        body = render(
            "objects.html",
            counts=self.counts(),
            classes=self.support.classes,
            nothing=NONE,
            colours=self.colours,
            examples=[(label, inline(image)) for label, image in self._examples()],
            photos=[(Path(path).name, inline(self._marked(path))) for path in self.photos],
        )
        return Section(title, body)

    def _examples(self) -> list[tuple[str, NDArray[np.uint8]]]:
        by_class = self.support.by_class()
        return [
            (label, self.support.read(place))
            for label in self.support.classes
            for place in by_class[label]
        ]

    def _marked(self, path: str) -> NDArray[np.uint8]:
        """Return a photo with its boxes, each in the colour of its answer; wrong ones crossed."""
        picture = Image.fromarray(read(path))
        pen = ImageDraw.Draw(picture)
        for answer, truth in self.photos[path]:
            assert answer.box is not None
            x, y, width, height = answer.box
            corners = (x, y, x + width - 1, y + height - 1)
            colour = REJECTED if answer.label is None else self.colours[answer.label]
            pen.rectangle(corners, outline=colour, width=3)
            if answer.label != truth:
                pen.line(corners, fill=colour, width=3)
        return np.asarray(picture)


def _put(sheet: NDArray[np.uint8], image: NDArray[np.uint8], top: int, left: int) -> None:
    sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
