"""Models with a card each: what they learned from, under which licence, how well they do."""

from handful.zoo.card import Card, Figure, LearnedFrom
from handful.zoo.fitted import is_fitted, read_fitted, write_fitted
from handful.zoo.store import (
    BUNDLED,
    bundle,
    card,
    cards,
    digest,
    is_entry,
    load_weights,
    parts,
    save_entry,
    seen,
    weights,
)

__all__ = [
    "BUNDLED",
    "Card",
    "Figure",
    "LearnedFrom",
    "bundle",
    "card",
    "cards",
    "digest",
    "is_entry",
    "is_fitted",
    "load_weights",
    "parts",
    "read_fitted",
    "save_entry",
    "seen",
    "weights",
    "write_fitted",
]
