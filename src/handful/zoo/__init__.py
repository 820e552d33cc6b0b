"""Models with a card each: what they learned from, under which licence, how well they do."""

from handful.zoo.card import Card, Figure, LearnedFrom
from handful.zoo.store import (
    bundle,
    card,
    cards,
    digest,
    load_weights,
    save_entry,
    weights,
)

__all__ = [
    "Card",
    "Figure",
    "LearnedFrom",
    "bundle",
    "card",
    "cards",
    "digest",
    "load_weights",
    "save_entry",
    "weights",
]
