"""``handful recognize``: name images from a folder of labelled examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from handful import zoo
from handful.answers import Label, Labels
from handful.cli.common import (
    BackboneWeights,
    Device,
    Json,
    Model,
    Size,
    columns,
    emit,
    gather_pictures,
    note,
)
from handful.data.pictures import Cutout
from handful.data.progress import track
from handful.data.support import Support
from handful.errors import InputError
from handful.recognize import Recognizer


def recognize(
    *,
    query: Annotated[list[Path], Parameter(consume_multiple=True, negative=())],
    support: Path | None = None,
    reject: Annotated[str | None, Parameter(show_default=False)] = None,
    group_new: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
    save: Path | None = None,
    explain: Path | None = None,
    model: Model = "auto",
    size: Size = None,
    backbone_weights: BackboneWeights = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Name what images show, from a few labelled examples, or answer "none of these".

    Parameters
    ----------
    query
        Images to name, folders of them, or manifests: a CSV, or a JSON of MegaDetector or COCO,
        or PASCAL VOC's XML files. Where a manifest has boxes, each object is named.
    support
        A folder with one sub-folder of examples per class, or a manifest with labels. A saved
        directory given as --model needs none.
    reject
        Answer "none of these" below this score, a number from 0 to 1; none: never; auto: the
        model's own threshold (the default).
    group_new
        Group what is answered "none of these": new-1, new-2, ... each look like one class.
    out
        Write the answers into this CSV file too.
    save
        Write the fitted recognizer into this directory, to be given as --model later.
    explain
        Write into this folder, for every query, where it shows what speaks for its answer.
    """
    given = {"device": device, "size": size, "backbone_weights": backbone_weights}
    recognizer = _recognizer(support, model, given)
    if reject is not None:
        recognizer.set_params(reject=_reject(reject))
    if support is not None:
        recognizer.fit(Support.read_any(support))
    if save is not None:
        recognizer.save(save)
    pictures, missing = gather_pictures(query)
    tracked = track(pictures, "Recognizing", len(pictures))
    answers = recognizer.predict(tracked, on_error="skip", group_new=group_new)
    unread = (*missing, *answers.skipped)
    if not answers:
        raise InputError(f"no query can be read: {_line(*unread[0])}")
    answers = replace(answers, skipped=(*recognizer.skipped_, *unread))
    if out is not None:
        answers.to_csv(out)
    value = answers.to_json()
    if explain is not None:
        for found, path in zip(
            value["results"], _explain(recognizer, answers, explain), strict=True
        ):
            found["explanation"] = path
    emit(value, json, _text(answers))
    for skipped in answers.skipped:
        note(f"skipped: {_line(*skipped)}")
    for warning in answers.warnings:
        note(f"look at the support: {warning}")


def _explain(recognizer: Recognizer, answers: Labels, folder: Path) -> Iterator[str]:
    """Explain every answer; yield the pictures that show it."""
    from handful.explain import Explainer
    from handful.report.explanation import write_pictures

    explainer = Explainer(recognizer.matcher_)
    digits = len(str(len(answers)))
    for number, answer in enumerate(track(answers, "Explaining", len(answers)), 1):
        assert answer.image is not None
        picture = Cutout(answer.image, answer.box) if answer.box else answer.image
        found = explainer.explain_label(recognizer, picture)
        stem = f"{number:0{digits}}-{Path(answer.image).stem}"
        yield str(write_pictures(found, folder, [picture], stem)["overlay"])


def _recognizer(support: Path | None, model: str, given: dict[str, Any]) -> Recognizer:
    if zoo.is_fitted(model):
        if support is not None:
            raise InputError(f"{model}: has its own support; leave out --support {support}")
        if given.pop("size") is not None:
            raise InputError(f"{model}: has its own size; leave out --size")
        return Recognizer.load(model, **given)
    if support is None:
        raise InputError("no examples: give --support DIR, or a saved directory as --model")
    return Recognizer(model=model, **given)


def _reject(text: str) -> float | str | None:
    if text in ("auto", "none"):
        return None if text == "none" else text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--reject {text}: give auto, none or a number from 0 to 1") from None


def _line(path: str, why: str) -> str:
    """Return the reason with the path in front, where it does not name it already."""
    return why if why.startswith(path.rpartition(" [")[0] or path) else f"{path}: {why}"


def _what(answer: Label) -> str:
    box = f" [{', '.join(format(value, 'g') for value in answer.box)}]" if answer.box else ""
    return f"{answer.image or ''}{box}"


def _text(answers: Labels) -> str:
    rows = [
        [
            _what(answer),
            answer.label or f"{answer.group or 'none of these'} (nearest: {answer.nearest})",
            f"{answer.score:.3f}",
        ]
        for answer in answers
    ]
    limit = "never" if answers.threshold is None else f"below {answers.threshold:.3f}"
    return f"{columns(rows)}\n{answers.model} ({answers.chosen}); none of these: {limit}"
