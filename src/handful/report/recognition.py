"""How recognition did on queries whose answers are known: counts, a section, a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.answers import Label, Labels
from handful.data.support import Support
from handful.images import read
from handful.report import recognition_sheet
from handful.report.page import Section, inline, render


@dataclass(frozen=True)
class Case:
    """One query: what was answered, what it is, and what the nearest neighbour says.

    Attributes
    ----------
    answer : Label
        The answer.
    truth : str or None
        The class; None: a stranger, of no class of the support.
    rival : str
        The label that the nearest neighbour of pixels gives.
    """

    answer: Label
    truth: str | None
    rival: str

    @property
    def right(self) -> bool:
        """Whether the answer is right: the class, or "none of these" for a stranger."""
        return self.answer.label == self.truth

    @property
    def rival_right(self) -> bool:
        """Whether the nearest neighbour is right; it never says "none of these"."""
        return self.rival == self.truth


@dataclass(frozen=True)
class Recognition:
    """A support, and queries with known answers.

    Attributes
    ----------
    support : Support
        The labelled examples.
    answers : Labels
        What was answered.
    truth : tuple of (str or None)
        What each query shows; None: a stranger.
    rivals : Labels
        What the nearest neighbour of pixels answers to the same queries.
    """

    support: Support
    answers: Labels
    truth: tuple[str | None, ...]
    rivals: Labels

    @cached_property
    def examples(self) -> dict[str, NDArray[np.uint8]]:
        """The first example of each class, (H, W, 3)."""
        first = {label: places[0] for label, places in self.support.by_class().items()}
        return {label: self.support.read(place) for label, place in first.items()}

    @property
    def shots(self) -> str:
        """How many examples a class has, in words."""
        shots = sorted({len(places) for places in self.support.by_class().values()})
        if shots == [1]:
            return "one example"
        return f"{shots[0]} examples" if len(shots) == 1 else f"{shots[0]} to {shots[-1]} examples"

    @property
    def cases(self) -> Iterator[Case]:
        """Every query."""
        for answer, truth, rival in zip(self.answers, self.truth, self.rivals, strict=True):
            yield Case(answer, truth, rival.nearest)

    def counts(self) -> dict[str, Any]:
        """Count right answers, over queries of known classes and over strangers.

        Returns
        -------
        dict
            ``accuracy`` is the share of known queries named rightly (a rejection is wrong);
            ``nearest_neighbour_accuracy`` the same for the pixels' nearest neighbour.
        """
        known = [case for case in self.cases if case.truth is not None]
        strangers = [case for case in self.cases if case.truth is None]
        right = sum(case.right for case in known)
        rival = sum(case.rival_right for case in known)
        return {
            "model": self.answers.model,
            "backbone": self.answers.backbone,
            "threshold": self.answers.threshold,
            "classes": len(self.support.classes),
            "examples": len(self.support),
            "queries": len(self.answers),
            "known": len(known),
            "right": right,
            "rejected": sum(case.answer.label is None for case in known),
            "accuracy": right / len(known),
            "strangers": len(strangers),
            "strangers_rejected": sum(case.right for case in strangers),
            "nearest_neighbour_right": rival,
            "nearest_neighbour_accuracy": rival / len(known),
        }

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Write the support and every query with its answer as one PNG."""
        recognition_sheet.draw(self, path)

    def section(self, title: str = "Recognize") -> Section:
        """Return every query with its answer as a section of a page."""
        pictures = {label: inline(image) for label, image in self.examples.items()}
        shown = [_shown(case, pictures) for case in self.cases]
        groups = [
            ("Drawings by other people", [case for case in shown if case["truth"] is not None]),
            ("Strangers: of no class above", [case for case in shown if case["truth"] is None]),
        ]
        body = render(
            "recognition.html",
            model=self.answers.model,
            threshold=self.answers.threshold,
            classes=len(self.examples),
            shots=self.shots,
            counts=self.counts(),
            examples=list(pictures.items()),
            cases=shown,
            groups=[(name, members) for name, members in groups if members],
        )
        return Section(title, body)


def _shown(case: Case, pictures: Mapping[str, str]) -> dict[str, Any]:
    assert case.answer.image is not None
    return {
        "query": Path(case.answer.image).name,
        "image": inline(read(case.answer.image)),
        "label": case.answer.label,
        "example": pictures[case.answer.nearest],
        "score": case.answer.score,
        "truth": case.truth,
        "right": case.right,
        "rival": case.rival,
        "rival_example": pictures[case.rival],
        "rival_right": case.rival_right,
    }
