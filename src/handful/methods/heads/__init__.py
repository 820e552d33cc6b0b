"""Heads: classifiers fitted on the frozen features of a few examples.

Every head has one verb. ``fit(features, index, ways)`` takes features (..., S, D), the class
0..ways-1 of each example as integers (S,), none of them empty, and the number of classes. It
returns a function from queries (..., Q, D) to scores (..., Q, ways), larger is more alike. Leading
dimensions are independent problems that share the index, such as episodes of one shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from torch import Tensor

from handful.methods.heads.logistic import Logistic
from handful.methods.heads.nearest import Nearest
from handful.methods.heads.prototype import Prototype

__all__ = [
    "LOGISTIC_FROM",
    "Head",
    "HeadName",
    "Logistic",
    "Nearest",
    "Prototype",
    "default_head",
    "make_head",
]

HeadName = Literal["prototype", "logistic", "nearest"]

LOGISTIC_FROM = 3
"""Examples of a class from which logistic regression is the default."""


class Head(Protocol):
    """A classifier on features."""

    name: str

    def fit(self, features: Tensor, index: Tensor, ways: int) -> Callable[[Tensor], Tensor]:
        """Return a function from queries (..., Q, D) to scores (..., Q, ways)."""
        ...


_HEADS: dict[str, Callable[[], Head]] = {
    "prototype": Prototype,
    "logistic": Logistic,
    "nearest": Nearest,
}


def make_head(name: HeadName) -> Head:
    """Return a head by its name, as it is set by default.

    Examples
    --------
    >>> make_head("nearest").name
    'nearest'
    """
    return _HEADS[name]()


def default_head(shots: int) -> HeadName:
    """Return the head for so many examples of a class (of the smallest, where they differ).

    Examples
    --------
    >>> default_head(1), default_head(5)
    ('prototype', 'logistic')
    """
    return "logistic" if shots >= LOGISTIC_FROM else "prototype"
