"""Episodes and photos of two objects, answered to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.data.segmentation.episodes import SegmentationEpisodes, sample_episodes
from handful.errors import InputError
from handful.evaluation.segmentation_data import Task
from handful.evaluation.segmenting import Run
from handful.evaluation.two_objects import Case, Kind, draw_cases, photos_of_pairs
from handful.methods.segmenter import decide
from handful.report.segmentation_panels import Episode, Example


@dataclass(frozen=True)
class Drawing:
    """What every figure is made from.

    Attributes
    ----------
    run : Run
        The method on the photos, at their own size.
    task : Task
        The photos and the classes.
    count, skip : int
        Episodes to show, and to pass over before.
    shots : int
        Examples of a class.
    seed : int
        What episodes are drawn from.
    """

    run: Run
    task: Task
    count: int
    skip: int
    shots: int
    seed: int

    def drawn(self, shots: int) -> SegmentationEpisodes:
        """Return the first episodes, with those that are passed over."""
        total = self.skip + self.count
        return sample_episodes(self.task.photos, self.task.classes, total, 1, shots, self.seed)

    def numbers(self) -> range:
        """Return the episodes to show."""
        return range(self.skip, self.skip + self.count)

    def episode(self, number: int, query: int, column: int, support: Sequence[int]) -> Episode:
        """Answer one episode."""
        found = decide(self.run.segment(query, [column], [support])[0])[0]
        return self.shown(number, query, column, support, found)

    def shown(
        self,
        number: int,
        query: int,
        column: int,
        support: Sequence[int],
        found: NDArray[np.bool_],
    ) -> Episode:
        """Return an answer with its photos and their names."""
        photos = self.task.photos
        examples = [Example(photos.image(p), photos.mask(p, column)) for p in support]
        paths = {
            "query": photos.paths[query],
            "support": [photos.paths[photo] for photo in support],
        }
        return Episode(
            number,
            photos.labels[column],
            tuple(examples),
            photos.image(query),
            found,
            photos.mask(query, column),
            paths,
        )

    def cases(self, swap: Kind) -> list[tuple[int, Case]]:
        """Return photos of two of the classes to show, as numbered among all."""
        photos, columns = self.task.photos, self.task.photos.find(self.task.classes)
        drawn, _ = draw_cases(
            photos, photos_of_pairs(photos, columns), swap, self.shots, seed=self.seed
        )
        # pairs take turns: a figure of one pair alone shows little
        by_pair: dict[tuple[int, int], list[tuple[int, Case]]] = {}
        for number, case in enumerate(drawn):
            by_pair.setdefault(case.pair, []).append((number, case))
        turns = sorted(
            (turn, place, numbered)
            for place, cases in enumerate(by_pair.values())
            for turn, numbered in enumerate(cases)
        )
        chosen = [numbered for _, _, numbered in turns][self.skip : self.skip + self.count]
        if not chosen:
            raise InputError(
                f"{photos.root}: no photo of two of {', '.join(self.task.classes)} with examples"
                " to teach either; name more --classes"
            )
        return chosen
