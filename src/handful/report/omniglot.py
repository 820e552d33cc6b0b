"""The figures of one-shot recognition: a trial, accuracy over ways, the curves of a training."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handful.errors import InputError
from handful.report.style import COLOURS, STYLE, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN = "#1a9850"


class WaysCurve(Protocol):
    """Accuracy of one model over the number of ways; all arrays (n,), shares in [0, 1]."""

    @property
    def model(self) -> str:
        """Its name."""

    @property
    def ways(self) -> NDArray[np.int64]:
        """How many classes."""

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Share of right answers."""

    @property
    def low(self) -> NDArray[np.float64]:
        """Lower end of its 95 % interval."""

    @property
    def high(self) -> NDArray[np.float64]:
        """Upper end of its 95 % interval."""


def draw_trial(
    path: str | os.PathLike[str],
    query: NDArray[np.uint8],
    support: Sequence[NDArray[np.uint8]],
    target: int,
    chosen: Mapping[str, int],
    columns: int = 5,
) -> None:
    """Draw one trial: the test image above the grid of its support.

    Parameters
    ----------
    path : path-like
        The PNG to write.
    query : ndarray
        The test image, (H, W) grey or (H, W, 3), uint8.
    support : sequence of ndarray
        One image of each class.
    target : int
        The right one, outlined in green.
    chosen : mapping
        By model, the one it chose, outlined in the model's colour within the green.
    columns : int
        Of the grid.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    rows = math.ceil(len(support) / columns)
    figure = Figure(figsize=(columns * 1.05 + 0.4, rows * 1.05 + 2.35))
    layout = figure.add_gridspec(
        rows + 1, columns, height_ratios=[1.3] + [1] * rows, hspace=0.12, wspace=0.12,
        left=0.04, right=0.96, top=0.93, bottom=0.5 / figure.get_figheight(),
    )  # fmt: skip
    top = figure.add_subplot(layout[0, :])
    _show(top, query)
    top.set_title("Which of these is it?", fontsize=12, pad=8)
    for place, image in enumerate(support):
        axes = figure.add_subplot(layout[1 + place // columns, place % columns])
        _show(axes, image)
        rings = [GREEN] if place == target else []
        rings += [COLOURS[i] for i, way in enumerate(chosen.values()) if way == place]
        for depth, colour in enumerate(rings):
            _outline(axes, colour, depth)
    handles = [Patch(fill=False, ec=GREEN, lw=2, label="the same character")]
    for colour, (model, way) in zip(COLOURS, chosen.items(), strict=False):
        answer = "right" if way == target else "wrong"
        handles.append(Patch(fill=False, ec=colour, lw=2, label=f"{model} ({answer})"))
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=8,
                  frameon=False, handlelength=1.2, columnspacing=1.2)  # fmt: skip
    save(figure, path)


def draw_ways(path: str | os.PathLike[str], curves: Sequence[WaysCurve], title: str = "") -> None:
    """Draw one-shot accuracy over the number of ways, one curve per model, with its interval.

    Parameters
    ----------
    path : path-like
        The PNG to write.
    curves : sequence of WaysCurve
        In the order of their colours. The line of guessing is added.
    title : str
        Above the figure: how the trials were drawn.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        for curve, colour in zip(curves, COLOURS, strict=False):
            low, high = 100 * curve.low, 100 * curve.high
            axes.fill_between(curve.ways, low, high, color=colour, alpha=0.18, lw=0)
            axes.plot(curve.ways, 100 * curve.accuracy, color=colour, label=curve.model)
        ways = curves[0].ways
        guess = 100 / ways
        axes.plot(ways, guess, color="#888888", lw=1.2, ls=(0, (4, 3)), label="guessing")
        axes.set(
            xlim=(ways.min(), ways.max()), ylim=(0, 100),
            xlabel="number of ways (classes, one example of each)", ylabel="accuracy, %",
        )  # fmt: skip
        axes.set_title(title, fontsize=11, pad=12)
        axes.set_xticks([way for way in ways if way % 2 == 0])
        figure.legend(loc="outside lower center", ncols=len(curves) + 1, handlelength=1.5)
        save(figure, path)


def draw_training(path: str | os.PathLike[str], runs: Mapping[str, Path]) -> None:
    """Draw the curves of one or more training runs, one panel per figure they log.

    Parameters
    ----------
    path : path-like
        The PNG to write.
    runs : mapping
        By the name to show, a run's ``metrics.csv`` of columns step, name, value.

    Raises
    ------
    InputError
        A file is missing or holds no such columns.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    curves = {name: read_curves(file) for name, file in runs.items()}
    panels = list(dict.fromkeys(figure for run in curves.values() for figure in run))
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(panels), 3.6), layout="constrained")
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(grid, panels, strict=True):
            for colour, (name, run) in zip(COLOURS, curves.items(), strict=False):
                if panel in run:
                    steps, values = run[panel]
                    marker = "o" if len(steps) < 30 else None
                    axes.plot(steps, values, color=colour, label=name, marker=marker, ms=3.5)
            axes.set(xlabel="training steps", title=_panel_title(panel))
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        save(figure, path)


def read_curves(
    path: str | os.PathLike[str],
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Read a run's ``metrics.csv``: by figure, its steps (n,) and values (n,).

    Raises
    ------
    InputError
        The file is missing, or has not the columns step, name, value.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        points: dict[str, list[tuple[float, float]]] = {}
        for row in rows:
            points.setdefault(row["name"], []).append((float(row["step"]), float(row["value"])))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the folder of a training run") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its columns are not step, name, value") from error
    if not points:
        raise InputError(f"{path}: logs nothing yet; wait for the run's first validation")
    curves = {name: np.array(pairs).T for name, pairs in points.items()}
    return {name: (steps, values) for name, (steps, values) in curves.items()}


def _panel_title(name: str) -> str:
    return {
        "loss": "training loss",
        "one_shot": "one-shot accuracy, validation alphabets",
    }.get(name, name.replace("_", " "))


def _show(axes: Axes, image: NDArray[np.uint8]) -> None:
    rows, columns = image.shape[:2]
    side = max(rows, columns)
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    # a margin for the frames, so that they hide no stroke
    around = 0.15 * side
    axes.set(xlim=(-around, columns + around), ylim=(rows + around, -around), facecolor="white")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="#c8c8c8", linewidth=0.8)


def _outline(axes: Axes, colour: str, depth: int) -> None:
    """Draw a frame inside the image's edge, the deeper the further inside."""
    from matplotlib.patches import Rectangle

    inset = 0.018 + 0.05 * depth
    side = 1 - 2 * inset
    frame: Any = Rectangle(
        (inset, inset), side, side, transform=axes.transAxes, fill=False, ec=colour, lw=2.6
    )
    axes.add_patch(frame)
