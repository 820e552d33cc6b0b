"""``handful evaluate conditioning``: examples of another class have to find the other object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from handful.cli.common import Json, columns, emit
from handful.cli.measuring import Count
from handful.cli.segmentation_options import (
    DataOptions,
    ModelOptions,
    SizeOptions,
    Words,
    given,
    percent,
    write_results,
    written,
)
from handful.evaluation.protocols import conditioning as protocol
from handful.evaluation.results import Result, write_rows
from handful.evaluation.segmentation_data import Task
from handful.evaluation.segmenting import ShotsBy
from handful.evaluation.two_objects import SHARE


def conditioning(
    *,
    data: DataOptions,
    models: ModelOptions | None = None,
    sizes: SizeOptions | None = None,
    seen_classes: Words = None,
    area: Annotated[float, Parameter(validator=Number(gte=0, lt=0.5))] = SHARE,
    shots: Count = 1,
    draws: Count = 1,
    seed: int = 0,
    shots_by: ShotsBy = "method",
    per_episode: Path | None = None,
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Segment photos of two objects by examples of one class, then of the other.

    A photo counts as right when both masks lie on their own object: each overlaps it by a larger
    IoU than it overlaps the other. The same is asked with one and the same photo as the example of
    either class, of which only the mask is changed.

    Parameters
    ----------
    seen_classes
        Classes that trained models may have seen: pairs of one of them and of a tested class are
        counted apart. By default all other classes of the photos; none leaves such pairs out.
    area
        The share of the photo that each of the two objects exceeds.
    shots
        Examples of a class.
    draws
        How often examples are drawn for each photo.
    seed
        What examples are drawn from.
    shots_by
        How several shots become one answer: as the model itself does, by vote, or by or.
    per_episode
        Write the overlaps of every case into this .csv file.
    out
        Write the result, with how it came about, into this .json file or into this folder.
    """
    models, sizes = models or ModelOptions(), sizes or SizeOptions()
    view = sizes.view()
    methods = models.ready(out)
    task = data.task(shots + 1)
    seen = _seen(task, seen_classes)
    results = [
        protocol.measure(
            method, task.photos, task.classes, seen, view, shots, draws, seed, shots_by, area
        )
        for method in methods.values()
    ]
    for result in results:
        result.settings.update(data.settings(task))
    if out is not None:
        options = given(
            **written(data, sizes),
            seen_classes=seen_classes,
            area=area,
            shots=shots,
            draws=draws,
            seed=seed,
            shots_by=shots_by,
        )
        write_results(out, "conditioning", options, list(methods), models, results)
    if per_episode is not None:
        write_rows(per_episode, results)
    values = [result.to_json() for result in results]
    emit(values[0] if len(values) == 1 else values, json, _text(results))


def _seen(task: Task, asked: Sequence[str] | None) -> list[str]:
    """Return the classes that a tested one may share a photo with."""
    if asked == ["none"]:
        return []
    if asked is not None:
        return [task.photos.labels[column] for column in task.photos.find(asked)]
    return [label for label in task.photos.labels if label not in task.classes]


def _text(results: Sequence[Result]) -> str:
    first = results[0]
    settings = first.settings
    title = (
        f"{settings['dataset']}, {first.n} photos of two of {len(settings['classes'])} classes,"
        f" {settings['shots']}-shot, size {settings['size']}"
    )
    table = [["", "both right", "95 % interval", "photos", "other mask", "with seen", "other mask"]]
    for result in results:
        swapped = result.metrics["mask_swap"]
        table.append(
            [
                result.model,
                percent(result.metrics["share"]),
                _interval(result.metrics),
                str(result.metrics["photos"]),
                percent(swapped["share"]),
                percent(result.metrics["with_seen"]["share"]),
                percent(swapped["with_seen"]["share"]),
            ]
        )
    lines = [title, "", columns(table), "", "both right, by pair (photos)"]
    pairs = first.metrics["per_pair"] | first.metrics["with_seen"]["per_pair"]
    each = [[f"{name} ({pairs[name]['photos']})"] for name in pairs]
    for row, name in zip(each, pairs, strict=True):
        row += [percent(_pair(result, name)["share"]) for result in results]
    lines.append(columns([["", *(result.model for result in results)], *each]))
    return "\n".join(lines)


def _pair(result: Result, name: str) -> dict[str, Any]:
    metrics = result.metrics
    found: dict[str, Any] = (metrics["per_pair"] | metrics["with_seen"]["per_pair"])[name]
    return found


def _interval(metrics: dict[str, Any]) -> str:
    if metrics["interval"] is None:
        return ""
    low, high = metrics["interval"]
    return f"{percent(low)} to {percent(high)}"
