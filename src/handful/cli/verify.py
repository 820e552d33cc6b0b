"""``handful verify``: are these two the same."""

from __future__ import annotations

from pathlib import Path

from handful.cli.common import BackboneWeights, Device, Json, Model, Size, emit
from handful.recognize import Recognizer


def verify(
    a: Path,
    b: Path,
    /,
    *,
    model: Model = "auto",
    size: Size = None,
    backbone_weights: BackboneWeights = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Say whether two images show the same.

    Parameters
    ----------
    a
        The first image.
    b
        The second image.
    """
    recognizer = Recognizer(
        model=model, device=device, size=size, backbone_weights=backbone_weights
    )
    answer = recognizer.verify(a, b)
    word = "same" if answer.same else "different"
    text = f"{word}  score {answer.score:.3f}, same from {answer.threshold:.3f} ({answer.model})"
    emit(answer.to_json(), json, text)
