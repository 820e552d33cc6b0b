"""From which presence on a class counts as there: measured on validation classes, kept here.

What learned keeps its threshold in its card, under ``calibration`` as ``presence``; methods that
learn nothing, and several as one, share one table in this package. ``python -m
handful.evaluation.thresholds`` writes either.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from handful import zoo

TABLE = Path(__file__).with_suffix(".json")

KEY = "presence"
"""The name of the threshold in a card's calibration."""


@cache
def thresholds() -> dict[str, dict[str, Any]]:
    """Return the table: of each ``METHOD:BACKBONE`` its threshold and how that was measured."""
    table: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def presence_threshold(name: str, card: zoo.Card | None = None, default: float = 0.5) -> float:
    """Return the threshold of a method.

    Parameters
    ----------
    name : str
        As `handful.methods.segmenters.load` takes it.
    card : Card, optional
        Of its weights, where it has a card.
    default : float
        Where nothing was measured.

    Examples
    --------
    >>> presence_threshold("centre")
    0.5
    """
    if card is not None:
        return (card.calibration or {}).get(KEY, default)
    found = thresholds().get(full_name(name))
    return default if found is None else float(found["threshold"])


def full_name(name: str) -> str:
    """Return a method's name with its backbone, which is handful-base where none is named.

    Examples
    --------
    >>> full_name("discriminant"), full_name("discriminant:resnet50")
    ('discriminant:handful-base', 'discriminant:resnet50')
    """
    return name if ":" in name else f"{name}:handful-base"
