"""Weight hashing as a picture: which coefficient goes where, and with which sign."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from handful.errors import InputError
from handful.files import replacing
from handful.methods.oslsm import WeightHashing
from handful.report.objects import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL, _DPI, _TEXT, _SOFT = 0.42, 150, "#222222", "#666666"
_TOP, _BOTTOM = 4.0, 0.0


class Copy(NamedTuple):
    """One output: its place, the input that it copies, and the sign; places count from 0."""

    place: int
    source: int
    sign: int


def copies(layer: WeightHashing, inputs: int) -> list[Copy]:
    """Return the outputs that copy one of the first inputs, in their order.

    Examples
    --------
    >>> copies(WeightHashing(3, 6), 1)
    [Copy(place=1, source=0, sign=1), Copy(place=3, source=0, sign=1), \
Copy(place=5, source=0, sign=-1)]
    """
    kappa, zeta = layer.kappa.tolist(), layer.zeta.tolist()
    return [
        Copy(place, source, int(sign))
        for place, (source, sign) in enumerate(zip(kappa, zeta, strict=True))
        if source < inputs
    ]


def draw_hashing(layer: WeightHashing, path: str | os.PathLike[str], inputs: int = 5) -> None:
    """Draw the first inputs of a layer and all of their copies: figure 1 of OSLSM's supplement.

    Parameters
    ----------
    layer : WeightHashing
        A layer as it is in a network.
    path : path-like
        The PNG to write; whole or not at all.
    inputs : int
        How many inputs, from 1 to 7: a colour each.

    Raises
    ------
    InputError
        Another number of inputs.
    """
    from matplotlib.figure import Figure

    if not 1 <= inputs <= min(len(PALETTE), layer.in_features):
        most = min(len(PALETTE), layer.in_features)
        raise InputError(f"{inputs} inputs to draw: give a number from 1 to {most}")
    drawn = copies(layer, inputs)
    width = max(len(drawn), 2 * inputs)
    figure = Figure(figsize=((width + 3.6) * _CELL, 7.2 * _CELL), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-2.6, width + 1), ylim=(-1.6, _TOP + 1.6))
    axes.axis("off")
    step = width / inputs
    tops = [step * (place + 0.5) for place in range(inputs)]
    for source, x in enumerate(tops):
        _cell(axes, x, _TOP, PALETTE[source], "", str(source + 1), above=True)
    shift = (width - len(drawn)) / 2 + 0.5
    for column, copy in enumerate(drawn):
        x, colour = column + shift, PALETTE[copy.source]
        dash = "-" if copy.sign > 0 else (0, (3, 2))
        axes.plot([tops[copy.source], x], [_TOP, _BOTTOM + 1], color=colour, ls=dash, lw=1.2)
        sign = "+" if copy.sign > 0 else "\N{MINUS SIGN}"
        _cell(axes, x, _BOTTOM, colour, sign, str(copy.place + 1), above=False)
    axes.text(-0.4, _TOP + 0.5, "x", fontsize=15, style="italic", ha="right", va="center")
    axes.text(-0.4, _BOTTOM + 0.5, "θ", fontsize=15, style="italic", ha="right", va="center")
    axes.text(
        width / 2,
        -1.4,
        f"{inputs} of {layer.in_features:,} inputs and their {len(drawn)} copies among"
        f" {layer.out_features:,} outputs; dashed: the sign is flipped",
        fontsize=9,
        color=_SOFT,
        ha="center",
    )
    with replacing(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})


def _cell(axes: Axes, x: float, y: float, colour: str, sign: str, number: str, above: bool) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x - 0.45, y), 0.9, 1, facecolor=colour, edgecolor="white"))
    axes.text(x, y + 0.5, sign, color="white", fontsize=13, weight="bold", ha="center", va="center")
    place, va = (y + 1.15, "bottom") if above else (y - 0.15, "top")
    axes.text(x, place, number, color=_TEXT, fontsize=7, ha="center", va=va)
