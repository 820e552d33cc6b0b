"""``handful verify``: are these two the same."""

from __future__ import annotations

from pathlib import Path

from handful.cli.common import Device, Json, Model, emit
from handful.recognize import Recognizer


def verify(
    a: Path, b: Path, /, *, model: Model = "auto", device: Device = "auto", json: Json = False
) -> None:
    """Say whether two images show the same.

    Parameters
    ----------
    a
        The first image.
    b
        The second image.
    """
    answer = Recognizer(model=model, device=device).verify(a, b)
    word = "same" if answer.same else "different"
    text = f"{word}  score {answer.score:.3f}, same from {answer.threshold:.3f} ({answer.model})"
    emit(answer.to_json(), json, text)
