"""``handful recognize``: name images from a folder of labelled examples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handful import zoo
from handful.answers import Labels
from handful.cli.common import Device, Json, Model, columns, emit, gather, note
from handful.data.progress import track
from handful.data.support import Support
from handful.errors import InputError
from handful.recognize import Recognizer


def recognize(
    *,
    query: Annotated[list[Path], Parameter(consume_multiple=True, negative=())],
    support: Path | None = None,
    reject: Annotated[str | None, Parameter(show_default=False)] = None,
    out: Path | None = None,
    save: Path | None = None,
    model: Model = "auto",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Name what images show, from a few labelled examples, or answer "none of these".

    Parameters
    ----------
    query
        Images to name, or folders of them.
    support
        A folder with one sub-folder of examples per class. A saved directory given as --model
        needs none.
    reject
        Answer "none of these" below this score, a number from 0 to 1; none: never; auto: the
        model's own threshold (the default).
    out
        Write the answers into this CSV file too.
    save
        Write the fitted recognizer into this directory, to be given as --model later.
    """
    recognizer = _recognizer(support, model, device)
    if reject is not None:
        recognizer.set_params(reject=_reject(reject))
    if support is not None:
        recognizer.fit(Support.from_folder(support))
    if save is not None:
        recognizer.save(save)
    images = gather(query)
    answers = recognizer.predict(track(images, "Recognizing", len(images)), on_error="skip")
    if not answers:
        raise InputError(f"no query can be read: {answers.skipped[0][1]}")
    answers = replace(answers, skipped=(*recognizer.skipped_, *answers.skipped))
    if out is not None:
        answers.to_csv(out)
    emit(answers.to_json(), json, _text(answers))
    for _, reason in answers.skipped:
        note(f"skipped: {reason}")
    for warning in answers.warnings:
        note(f"look at the support: {warning}")


def _recognizer(support: Path | None, model: str, device: str) -> Recognizer:
    if zoo.is_fitted(model):
        if support is not None:
            raise InputError(f"{model}: has its own support; leave out --support {support}")
        return Recognizer.load(model, device=device)
    if support is None:
        raise InputError("no examples: give --support DIR, or a saved directory as --model")
    return Recognizer(model=model, device=device)


def _reject(text: str) -> float | str | None:
    if text in ("auto", "none"):
        return None if text == "none" else text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--reject {text}: give auto, none or a number from 0 to 1") from None


def _text(answers: Labels) -> str:
    rows = [
        [
            answer.image or "",
            answer.label or f"none of these (nearest: {answer.nearest})",
            f"{answer.score:.3f}",
        ]
        for answer in answers
    ]
    limit = "never" if answers.threshold is None else f"below {answers.threshold:.3f}"
    return f"{columns(rows)}\n{answers.model} ({answers.chosen}); none of these: {limit}"
