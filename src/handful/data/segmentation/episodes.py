"""Episodes of few-shot segmentation: drawn, saved, replayed.

An episode names classes, the photos that teach each, and a query. It holds numbers into a list of
photos and a list of classes and nothing else, so every method sees the same ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator

from handful.data.segmentation.photos import Indices, SegmentationSet
from handful.errors import InputError
from handful.files import write_text

_FORMAT = "handful-segmentation-episodes-1"


@dataclass(frozen=True, eq=False)
class SegmentationEpisodes:
    """Episodes of one shape.

    Attributes
    ----------
    classes : ndarray
        (T, ways) int64, numbers into `labels`; the query was drawn for the first.
    support : ndarray
        (T, ways, shots) int64, numbers into `paths`.
    query : ndarray
        (T,) int64, numbers into `paths`.
    paths : tuple of str
        Photos relative to a root, with forward slashes.
    labels : tuple of str
        The classes.
    seed : int or None
        What they were drawn from.

    Raises
    ------
    InputError
        The arrays do not fit each other, `paths` or `labels`; a query teaches its own episode.
    """

    classes: Indices
    support: Indices
    query: Indices
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    seed: int | None = None

    def __post_init__(self) -> None:
        shape = self.support.shape
        if len(shape) != 3 or self.classes.shape != shape[:2] or self.query.shape != shape[:1]:
            raise InputError(
                f"episodes: classes {self.classes.shape}, support {shape} and query"
                f" {self.query.shape} do not fit (T, ways), (T, ways, shots) and (T,)"
            )
        if not self.support.size:
            raise InputError("episodes: there are none; ask for at least one")
        photos = np.concatenate([self.support.ravel(), self.query])
        inside = photos.min() >= 0 and photos.max() < len(self.paths)
        if not inside or self.classes.min() < 0 or self.classes.max() >= len(self.labels):
            raise InputError("episodes: a photo or a class number is out of range")
        if (self.support == self.query[:, None, None]).any():
            raise InputError("episodes: a query is among the examples that teach it")

    def __len__(self) -> int:
        return len(self.query)

    @property
    def ways(self) -> int:
        """Classes that are asked for at once."""
        return int(self.support.shape[1])

    @property
    def shots(self) -> int:
        """Examples of each class."""
        return int(self.support.shape[2])

    def first(self, count: int) -> SegmentationEpisodes:
        """Return the first episodes: drawn in turn over the classes, they are balanced too."""
        rows = slice(0, count)
        return replace(
            self, classes=self.classes[rows], support=self.support[rows], query=self.query[rows]
        )

    def over(self, dataset: SegmentationSet) -> SegmentationEpisodes:
        """Return the same episodes as numbers into the photos and classes of a data set.

        Raises
        ------
        InputError
            It lacks a photo or a class.
        """
        photo = {path: i for i, path in enumerate(dataset.paths)}
        for path in self.paths:
            if path not in photo:
                raise InputError(
                    f"{path}: an episode names it, but {dataset.root} does not hold it; give the"
                    f" root and split that the episodes were drawn from"
                )
        place = np.array([photo[path] for path in self.paths], np.int64)
        column = np.array(dataset.find(self.labels), np.int64)
        return replace(
            self,
            classes=column[self.classes],
            support=place[self.support],
            query=place[self.query],
            paths=dataset.paths,
            labels=dataset.labels,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the episodes as JSON, one line each, with the photos and classes that occur."""
        photos = np.unique(np.concatenate([self.support.ravel(), self.query]))
        numbers = np.unique(self.classes)
        head = {
            "format": _FORMAT,
            "seed": self.seed,
            "labels": [self.labels[c] for c in numbers],
            "paths": [self.paths[i] for i in photos],
        }
        lines = ",\n".join(
            json.dumps({"classes": classes, "support": support, "query": query})
            for classes, support, query in zip(
                np.searchsorted(numbers, self.classes).tolist(),
                np.searchsorted(photos, self.support).tolist(),
                np.searchsorted(photos, self.query).tolist(),
                strict=True,
            )
        )
        start = json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}")
        write_text(path, f'{start},\n "episodes": [\n{lines}\n]}}\n')

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SegmentationEpisodes:
        """Read episodes that :meth:`save` wrote.

        Raises
        ------
        InputError
            The file is missing, or holds no such episodes.
        """
        remedy = "give a file of episodes that --episodes-file wrote"
        try:
            value = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; {remedy}") from error
        except ValueError as error:
            raise InputError(f"{path}: not JSON; {remedy}") from error
        if not isinstance(value, dict) or value.get("format") != _FORMAT:
            raise InputError(f"{path}: holds no episodes of segmentation; {remedy}")
        try:
            rows = value["episodes"]
            return cls(
                classes=np.array([row["classes"] for row in rows], np.int64),
                support=np.array([row["support"] for row in rows], np.int64),
                query=np.array([row["query"] for row in rows], np.int64),
                paths=tuple(str(name) for name in value["paths"]),
                labels=tuple(str(name) for name in value["labels"]),
                seed=value["seed"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: damaged ({error}); write it again") from error


def sample_episodes(
    dataset: SegmentationSet,
    classes: Sequence[str],
    episodes: int = 1000,
    ways: int = 1,
    shots: int = 1,
    seed: int = 0,
) -> SegmentationEpisodes:
    """Draw a query and distinct supports for classes that take turns.

    Every class has the same number of episodes, give or take one. Query and supports are
    distinct photos, drawn alike among those that show the class well enough
    (`SegmentationSet.eligible`); further ways are other classes of the list, in any order.

    Parameters
    ----------
    dataset : SegmentationSet
        The photos.
    classes : sequence of str
        The classes to test.
    episodes, ways, shots : int
        How many; classes that are asked for at once; examples of each.
    seed : int
        Everything drawn follows from it.

    Raises
    ------
    InputError
        A class with too few photos, or fewer classes than ways.
    """
    columns = dataset.find(classes)
    if not 1 <= ways <= len(columns):
        raise InputError(f"{ways} ways of {len(columns)} classes: give as many --classes at least")
    # the worst case of an N-way episode: all other photos of it show this class too
    needed = 1 + ways * shots
    pools = {column: dataset.of(column) for column in columns}
    for column, pool in pools.items():
        if len(pool) < needed:
            raise InputError(
                f"{dataset.root}: {len(pool)} photos show {dataset.labels[column]!r}, but"
                f" {ways} ways of {shots} shots and a query need {needed}"
            )
    rng = np.random.default_rng(seed)
    # the order of turns is drawn, so that the first episodes of a list are no fixed classes
    turns = rng.permutation(columns)[np.arange(episodes) % len(columns)]
    drawn = [_episode(rng, int(turn), columns, pools, ways, shots) for turn in turns]
    return SegmentationEpisodes(
        np.array([chosen for chosen, _, _ in drawn], np.int64),
        np.array([support for _, support, _ in drawn], np.int64),
        np.array([query for _, _, query in drawn], np.int64),
        dataset.paths,
        dataset.labels,
        seed,
    )


def _episode(
    rng: Generator,
    turn: int,
    columns: Sequence[int],
    pools: dict[int, Indices],
    ways: int,
    shots: int,
) -> tuple[list[int], list[list[int]], int]:
    others = rng.permutation([column for column in columns if column != turn])[: ways - 1]
    chosen = [turn, *others.tolist()]
    query = int(rng.choice(pools[turn]))
    used = {query}
    support = []
    for column in chosen:
        free = np.array([photo for photo in pools[column].tolist() if photo not in used])
        shown = rng.choice(free, shots, replace=False).tolist()
        used.update(shown)
        support.append(shown)
    if ways > 1:  # at the first place, the query's class would be found by ties
        order = rng.permutation(ways).tolist()
        chosen, support = [chosen[n] for n in order], [support[n] for n in order]
    return chosen, support, query


def absent_queries(
    dataset: SegmentationSet, episodes: SegmentationEpisodes, seed: int = 0
) -> SegmentationEpisodes:
    """Give every one-way episode a query that does not show its class, not even a pixel of it.

    The support stays, so presence is measured on pairs. Queries are photos that show another
    class of the episodes; they may repeat.

    Raises
    ------
    InputError
        More than one way, or a class that all those photos show.
    """
    if episodes.ways != 1:
        raise InputError(f"absent classes are measured with one way, not {episodes.ways}")
    rng = np.random.default_rng([seed, 1])
    tested = np.unique(episodes.classes)
    pools = {}
    for column in tested.tolist():
        others = tested[tested != column]
        shown = dataset.eligible[:, others].any(1) & ~dataset.present[:, column]
        pools[column] = np.flatnonzero(shown)
    query = np.empty(len(episodes), np.int64)
    for t, column in enumerate(episodes.classes[:, 0].tolist()):
        free = np.setdiff1d(pools[column], episodes.support[t])
        if not len(free):
            raise InputError(
                f"{dataset.root}: no photo of another class is without"
                f" {dataset.labels[column]!r}; give more classes"
            )
        query[t] = rng.choice(free)
    return replace(episodes, query=query, seed=seed)
