from __future__ import annotations

from typing import Any

from handful import zoo
from handful.methods.mshnet import LIGHT, MSHNet, Similarity


def light_mshnet(name: str, similarity: Similarity) -> tuple[MSHNet, zoo.Card]:
    """Return an untrained light MSHNet on handful-base, and the card of a training of it."""
    model = MSHNet("handful-base", similarity, LIGHT)
    model.backbone.load()
    facts: dict[str, Any] = {"similarity": similarity, "widths": "light"}
    card = zoo.Card(
        name=name,
        title="t",
        task="segment",
        method="mshnet",
        backbone="handful-base",
        licence="l",
        commercial_use=True,
        data="d",
        limits="l",
        input=facts | {"backbone_sha256": model.backbone.digest},
    )
    return model, card
