"""Few-shot retrieval by codes as curves, drawn from results: figures 3 to 6 of the paper of UGH.

Y.-X. Wang, L. Gui, M. Hebert, "Few-shot hash learning for image retrieval", ICCV workshops 2017.
A panel for mAP and one for precision within Hamming radius 2, over the examples of a class at one
length of a code, or over the length at one number of examples.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from handful.errors import InputError
from handful.report.hashing_results import METRICS, Over, Point
from handful.report.style import COLOURS, STYLE, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_BLUE, _ORANGE, _PURPLE, _RED, _TEAL, _GREY = COLOURS
_SOLID, _LONG, _SHORT, _DOTS = (0, ()), (0, (7, 1.5)), (0, (3.5, 1.5)), (0, (1, 1.4))

Look = tuple[str, str, tuple[int, tuple[float, ...]]]
"""A colour, a marker and a dash."""

FAMILIES: dict[str, dict[str, Look]] = {
    "ours": {
        "handful-bits": (_BLUE, "o", _SOLID),
        "handful-votes": (_ORANGE, "s", _SOLID),
        "ugh-similarity": (_PURPLE, "^", _SOLID),
    },
    "selected from a library": {
        "ugh": (_RED, "D", _LONG),
        "ugh-random": (_GREY, "X", _LONG),
        "ugh-category": (_TEAL, "P", _LONG),
        "all-codes": ("#222222", "*", _LONG),
    },
    "learned from the examples": {
        "cca-itq": (_BLUE, "v", _SHORT),
        "ksh": (_ORANGE, "<", _SHORT),
        "sdh": (_PURPLE, ">", _SHORT),
        "dbc": (_RED, "h", _SHORT),
        "fasthash": (_TEAL, "p", _SHORT),
    },
    "learned without labels": {
        "lsh": (_GREY, "x", _DOTS),
        "pca-itq": (_BLUE, "+", _DOTS),
        "spectral": (_ORANGE, "d", _DOTS),
        "spherical": (_PURPLE, "8", _DOTS),
        "kmeans": (_RED, "H", _DOTS),
        "binary-autoencoder": (_TEAL, "*", _DOTS),
    },
}
"""The models in the order of the legend: what a code comes from is its dash."""

_LOOKS = {model: look for family in FAMILIES.values() for model, look in family.items()}


@dataclass(frozen=True)
class Curves:
    """What a figure shows: points by model, in the order of the legend."""

    over: Over
    fixed: int
    curves: dict[str, tuple[Point, ...]]

    @property
    def any(self) -> Point:
        """One of the points: what they have in common."""
        return next(iter(self.curves.values()))[0]

    @property
    def published(self) -> list[dict[str, Any]]:
        """The published rows of the models and settings that are shown, each once."""
        every = (row for points in self.curves.values() for p in points for row in p.published)
        rows = [row for row in every if row["model"] in self.curves]
        return [row for place, row in enumerate(rows) if row not in rows[:place]]

    def to_json(self) -> dict[str, Any]:
        """Return every number of the figure."""
        first = self.any
        fixed = {"bits" if self.over == "shots" else "shots": self.fixed}
        return {
            "dataset": first.dataset,
            "backbone": first.backbone,
            **first.setup,
            **fixed,
            "curves": [
                {"model": model, "points": [point.to_json() for point in points]}
                for model, points in self.curves.items()
            ],
            "published": self.published,
        }


def choose_curves(
    points: Iterable[Point],
    over: Over,
    fixed: int,
    models: Sequence[str] = (),
    dataset: str | None = None,
    backbone: str | None = None,
) -> Curves:
    """Choose what belongs in one figure.

    Parameters
    ----------
    points : iterable of Point
        What was measured.
    over : {"shots", "bits"}
        What the axis is.
    fixed : int
        The other one of the two. All codes of a library stand at any length.
    models : sequence of str
        Only these; all where there are none.
    dataset, backbone : str, optional
        Only of these; needed where there are several.

    Raises
    ------
    InputError
        Nothing is left, nothing of two points or more, results that cannot be compared, or two
        of one setting.
    """
    bound = {"model": models, "dataset": [dataset], "backbone": [backbone]}
    wanted = {key: allowed for key, allowed in bound.items() if any(allowed)}
    at = f"{fixed} {'bits' if over == 'shots' else 'shots'}"
    found = [p for p in points if all(getattr(p, key) in wanted[key] for key in wanted)]
    missing = set(models) - {p.model for p in found}
    if missing or not found:
        what = ", ".join(sorted(missing)) or " ".join(filter(None, (dataset, backbone)))
        raise InputError(f"{what}: no result of it; there are others, or run the evaluation first")
    found = [p for p in found if _stands(p, over, fixed)]
    if not found:
        raise InputError(f"no result at {at}; give --{at.split()[1]} with what was measured")
    _check_one_setup(found)
    known = [*_LOOKS]
    order = {m: known.index(m) if m in known else len(known) for m in {p.model for p in found}}
    curves = {
        model: tuple(sorted((p for p in found if p.model == model), key=lambda p: p.at(over)))
        for model in sorted(order, key=lambda model: (order[model], model))
    }
    for row in curves.values():
        for one, two in pairwise(row):
            if one.at(over) == two.at(over):
                raise InputError(f"{one.file} and {two.file} are of one setting; keep one of them")
    if max(map(len, curves.values())) < 2:
        raise InputError(f"one point a model at {at}: measure at more --{over} to draw a curve")
    return Curves(over, fixed, curves)


def draw_curves(path: str | os.PathLike[str], curves: Curves) -> None:
    """Draw mAP and precision@2 side by side, a curve a model with its 95 % interval.

    Parameters
    ----------
    path : path-like
        The PNG to write.
    curves : Curves
        What is shown. Published figures are hollow marks.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({**STYLE, "lines.linewidth": 1.6}):
        figure = Figure(figsize=(11.5, 4.9), layout="constrained")
        panels = figure.subplots(1, len(METRICS))
        for axes, metric in zip(panels, METRICS, strict=True):
            for model, points in curves.curves.items():
                draw_curve(axes, curves.over, metric, model, points)
            _finish(axes, curves, metric)
        _draw_published(figure, panels[0], curves)
        figure.legend(handles=_legend(curves), loc="outside right upper", fontsize=9,
                      handlelength=3.2, labelspacing=0.45)  # fmt: skip
        figure.supxlabel("\n".join(_foot(curves)), x=0.01, ha="left", fontsize=8, color="#555555")
        save(figure, path)


def look_of(model: str) -> Look:
    """Return the colour, marker and dash of a model; grey where it is none of `FAMILIES`."""
    return _LOOKS.get(model, ("#999999", ".", _DOTS))


def _stands(point: Point, over: Over, fixed: int) -> bool:
    if over == "bits":
        return point.shots == fixed and point.model != "all-codes"
    return point.bits == fixed or point.model == "all-codes"


def _check_one_setup(points: Sequence[Point]) -> None:
    first = points[0]
    for other in points:
        for key in ("dataset", "backbone"):
            one, two = getattr(first, key), getattr(other, key)
            if one != two:
                raise InputError(f"results of {one} and of {two}: choose one by --{key}")
        if other.setup != first.setup:
            raise InputError(
                f"{first.file} and {other.file} were measured on other images or draws;"
                " keep what belongs together in one folder"
            )


def draw_curve(axes: Axes, over: Over, metric: str, model: str, points: Sequence[Point]) -> None:
    """Draw one model, with a band of intervals where every point has one, else with bars."""
    colour, marker, dash = look_of(model)
    places = [point.at(over) for point in points]
    axes.plot(places, [100 * p.values[metric] for p in points], color=colour, ls=dash,
              marker=marker, ms=5)  # fmt: skip
    held = [point for point in points if metric in point.intervals]
    low, high = ([100 * p.intervals[metric][end] for p in held] for end in (0, 1))
    at = [point.at(over) for point in held]
    if len(held) == len(points) > 1:  # a band over a point without an interval would pass by it
        axes.fill_between(at, low, high, color=colour, alpha=0.13, lw=0)
    else:
        axes.vlines(at, low, high, color=colour, lw=1.2)


def _draw_published(figure: Figure, axes: Axes, curves: Curves) -> None:
    """Set hollow marks to the left of where they belong, clear of what was measured."""
    from matplotlib.transforms import offset_copy

    for row in curves.published:
        colour, marker, _ = look_of(row["model"])
        aside = offset_copy(axes.transData, figure, x=-11, units="points")
        axes.plot(
            row[curves.over], 100 * row["map"], marker=marker, ms=8, mfc="none", mec=colour,
            mew=1.4, ls="", transform=aside,
        )  # fmt: skip


def _finish(axes: Axes, curves: Curves, metric: str) -> None:
    """Label a panel; the axis of shots is logarithmic."""
    shots = curves.over == "shots"
    places = sorted({point.at(curves.over) for row in curves.curves.values() for point in row})
    if shots:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(apart(places) if shots else places)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.margins(x=0.09)
    axes.set_ylim(bottom=0)
    axes.set(
        title=f"({'ab'[[*METRICS].index(metric)]}) {METRICS[metric]}, %",
        xlabel="examples of a class" if shots else "bits of a code",
    )


def apart(places: Sequence[int]) -> list[int]:
    """Return those of rising places whose numbers do not touch on a logarithmic axis.

    Examples
    --------
    >>> apart([1, 3, 5, 10, 15, 20, 25, 30, 50, 100])
    [1, 3, 5, 10, 15, 20, 30, 50, 100]
    """
    least = (places[-1] / places[0]) ** 0.05
    kept = [places[0]]
    for place in places[1:]:
        if place >= kept[-1] * least:
            kept.append(place)
    return kept


def _legend(curves: Curves) -> list[Line2D]:
    """Return the entries: families of models with their curves, then the published marks."""
    from matplotlib.lines import Line2D

    handles = []
    families = {family: [*members] for family, members in FAMILIES.items()}
    families["others"] = [model for model in curves.curves if model not in _LOOKS]
    for family, members in families.items():
        shown = [model for model in curves.curves if model in members]
        if shown:
            handles.append(Line2D([], [], ls="", label=rf"$\bf{{{family.replace(' ', '~')}}}$"))
        for model in shown:
            colour, marker, dash = look_of(model)
            bits = curves.curves[model][0].bits
            label = f"{model} ({bits:,} bits)" if model == "all-codes" else model
            handles.append(Line2D([], [], color=colour, marker=marker, ls=dash, ms=5, label=label))
    if curves.published:
        mark = Line2D([], [], color="#444444", marker="o", mfc="none", ms=8, mew=1.4, ls="",
                      label="hollow: published, mAP")  # fmt: skip
        handles.append(mark)
    return handles


def _foot(curves: Curves) -> list[str]:
    first = curves.any
    points = [point for row in curves.curves.values() for point in row]
    repeats = sorted({point.repeats for point in points})
    times = f"{repeats[0]} to {repeats[-1]}" if len(repeats) > 1 else str(repeats[0])
    text = (
        f"{first.dataset}, features of {first.backbone}: {first.setup['n']:,} queries,"
        f" {first.setup['database']:,} images, "
        + (f"{curves.fixed} bits" if curves.over == "shots" else f"{curves.fixed} examples a class")
        + f"; means of {times} repeats, bands are 95 % intervals"
    )
    bare = [METRICS[m] for m in METRICS if not all(m in point.intervals for point in points)]
    lines = [f"{text} (not all files give those of {', '.join(bare)})." if bare else f"{text}."]
    sources = {f"{row['source']} ({row['note']})" for row in curves.published}
    lines += [f"Published: {source}." for source in sorted(sources)]
    return [part for line in lines for part in textwrap.wrap(line, 165)]
