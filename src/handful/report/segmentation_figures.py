"""The figures of the papers on few-shot segmentation, drawn from episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handful.report.segmentation_panels import Episode, Panel, Picture, heated, sheet, tinted

AGREE = "Yellow: prediction and truth agree; red: predicted alone; green: true alone."


def tiles(episodes: Sequence[Episode], foot: Sequence[str], columns: int = 4) -> Picture:
    """Draw figure 3 of the supplement of Shaban et al.: support above, prediction below."""
    rows: list[list[Panel | None]] = []
    for start in range(0, len(episodes), columns):
        part = episodes[start : start + columns]
        blank: list[Panel | None] = [None] * (min(columns, len(episodes)) - len(part))
        rows.append([*(episode.taught() for episode in part), *blank])
        rows.append([*(episode.predicted() for episode in part), *blank])
    legend = (
        "Above the support with its mask in yellow, below the query with the prediction in red."
    )
    return sheet(rows, [legend, *foot])


def conditioning(cases: Sequence[tuple[Episode, Episode]], foot: Sequence[str]) -> Picture:
    """Draw figure 4 of the same: one query, and supports of two of its objects' classes.

    Each row is one query: support and answer of the one class, then of the other. Where the
    support's photo is the same, only its mask changes.
    """
    rows = [
        [first.taught(), first.compared(), second.taught(), second.compared()]
        for first, second in cases
    ]
    headings = ["support", "answer", "other support", "answer"]
    return sheet(rows, [AGREE, *foot], headings)


def shots(pairs: Sequence[tuple[Episode, Episode]], foot: Sequence[str]) -> Picture:
    """Draw figure 5 of the same: a query answered from few examples, and below from more."""
    rows: list[list[Panel]] = [[few.compared() for few, _ in pairs]]
    rows += [[more.compared() for _, more in pairs], [more.taught() for _, more in pairs]]
    counts = [len(pairs[0][side].support) for side in (0, 1)]
    legend = (
        f"First row: {counts[0]}-shot, by the first of the examples; second: {counts[1]}-shot;"
        " third: the examples."
    )
    return sheet(rows, [legend, AGREE, *foot])


def sides(pairs: Sequence[tuple[Episode, Episode]], foot: Sequence[str]) -> Picture:
    """Draw figure 4 of MSHNet's paper: many shots at the left, one shot at the right."""
    rows = [
        [more.taught(), more.predicted(), more.true(), one.taught(), one.predicted(), one.true()]
        for more, one in pairs
    ]
    count = len(pairs[0][0].support)
    names = ("support", "prediction", "truth")
    headings = [f"{shots}-shot: {name}" for shots in (count, 1) for name in names]
    return sheet(rows, foot, headings)


def energy(
    rows: Sequence[tuple[Episode, Mapping[str, Mapping[int, NDArray[np.float32]]]]],
    foot: Sequence[str],
) -> Picture:
    """Draw the energy maps of section 6.1 of MSHNet's paper: each similarity's mean by block.

    Parameters
    ----------
    rows : sequence of (Episode, mapping)
        Of each kind of similarity, stride -> map.
    foot : sequence of str
        Lines below.
    """
    panels: list[list[Panel]] = []
    headings = ["support", "query, answered"]
    for number, (episode, kinds) in enumerate(rows):
        line = [episode.taught(), episode.compared()]
        for kind, levels in kinds.items():
            for stride in sorted(levels, reverse=True):
                found = levels[stride]
                span = f"{found.min():.2f} to {found.max():.2f}"
                line.append((heated(episode.image, found), span))
                if number == 0:
                    block = {8: 2, 16: 3, 32: 4}.get(stride)
                    headings.append(f"{kind}, block {block}" if block else f"{kind}, {stride}")
        panels.append(line)
    legend = "Colours go from the smallest to the largest value of each map, which stand below it."
    return sheet(panels, [legend, AGREE, *foot], headings)


def attention(
    rows: Sequence[tuple[Sequence[Episode], Sequence[tuple[Picture, Picture]]]],
    foot: Sequence[str],
) -> Picture:
    """Draw figures 6 and 7 of Zheng et al., 2022: what is looked at, and what is found.

    Parameters
    ----------
    rows : sequence of (sequence of Episode, sequence of (ndarray, ndarray))
        Of each query its answers, one for each class, and of each class where the query and where
        its first example are attended, as pictures.
    foot : sequence of str
        Lines below.
    """
    panels: list[list[Panel]] = []
    for episodes, maps in rows:
        for episode, (on_query, on_support) in zip(episodes, maps, strict=True):
            panels.append(
                [
                    (tinted(episode.support[0].image, []), episode.label),
                    (tinted(episode.image, []), f"#{episode.number}"),
                    (on_support, ""),
                    (on_query, ""),
                    episode.predicted(),
                    episode.true(),
                ]
            )
    names = ["support", "query", "attention on support", "attention on query", "result", "truth"]
    return sheet(panels, foot, names)
