"""``handful verify``: are these two the same."""

from __future__ import annotations

from pathlib import Path

from handful import methods
from handful.cli.common import BackboneWeights, Device, Json, Model, Size, emit
from handful.explain import Explainer
from handful.recognize import Recognizer
from handful.report.explanation import write_pictures


def verify(
    a: Path,
    b: Path,
    /,
    *,
    explain: Path | None = None,
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
    explain
        A folder for pictures that show why they are the same, or why not.
    """
    recognizer = Recognizer(
        model=model, device=device, size=size, backbone_weights=backbone_weights
    )
    answer = recognizer.verify(a, b)
    word = "same" if answer.same else "different"
    text = f"{word}  score {answer.score:.3f}, same from {answer.threshold:.3f} ({answer.model})"
    value = answer.to_json()
    if explain is not None:
        chosen = answer.model if model == "auto" else model
        matcher = methods.load(chosen, None, device, size, backbone_weights)
        found = Explainer(matcher, device).explain_pair(a, b)
        value["explanation"] = str(write_pictures(found, explain, [a, b], "verify")["overlay"])
        text += f"; see {value['explanation']}"
    emit(value, json, text)
