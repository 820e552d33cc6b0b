"""What the drawn figures share: colours, the look of axes, and how a figure is written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from handful.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#1f5fbf", "#e07b00", "#8e44ad", "#c0392b", "#16828f", "#6b6b6b")
"""Of models, in their order: told apart by people who do not tell red from green."""

STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.labelcolor": "#222222",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.dpi": 200,
}
"""Matplotlib's settings for figures with axes."""


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as a PNG on white; whole or not at all."""
    with replacing(path) as part:
        figure.savefig(part, dpi=200, facecolor="white")
