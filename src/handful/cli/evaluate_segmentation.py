"""``handful evaluate segmentation``: a class learned from a few masks, found in other photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from handful.cli.common import Json, columns, emit, note
from handful.cli.measuring import Count
from handful.cli.segmentation_options import (
    DataOptions,
    ModelOptions,
    SizeOptions,
    given,
    percent,
    write_results,
    written,
)
from handful.data.segmentation.episodes import SegmentationEpisodes, sample_episodes
from handful.evaluation.protocols import segmentation as protocol
from handful.evaluation.published_segmentation import segmentation_rows
from handful.evaluation.results import Result, write_rows
from handful.evaluation.segmentation_data import Task
from handful.evaluation.segmenting import ShotsBy


def segmentation(
    *,
    data: DataOptions,
    models: ModelOptions | None = None,
    sizes: SizeOptions | None = None,
    shots: Count = 1,
    ways: Count = 1,
    episodes: Count = 1000,
    seed: int = 0,
    shots_by: ShotsBy = "method",
    absent: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    episodes_file: Path | None = None,
    per_episode: Path | None = None,
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Segment classes from a few masks each, beside the published figures.

    Of several models the first is compared with the others on the same episodes.

    Parameters
    ----------
    shots
        Examples of a class.
    ways
        Classes that are asked for at once.
    episodes
        How many are drawn; the classes take turns.
    seed
        What episodes are drawn from.
    shots_by
        How several shots become one answer: as the model itself does, by vote, or by or.
    absent
        So many episodes are asked about a photo without the class too; where they are more than
        --episodes, the others only serve presence.
    episodes_file
        Episodes to replay; where there is no such file yet, the drawn ones are written there.
    per_episode
        Write what every episode counted into this .csv file.
    out
        Write the result, with how it came about, into this .json file or into this folder.
    """
    models, sizes = models or ModelOptions(), sizes or SizeOptions()
    view = sizes.view()
    # before the photos: what is misspelt is found at once
    methods = models.ready(out)
    task = data.task(ways * shots + 1)
    drawn = _episodes(task, max(episodes, absent), ways, shots, seed, episodes_file)
    rows = (
        segmentation_rows(data.dataset, drawn.shots, task.fold, drawn.ways)
        if task.fold is not None
        else []
    )
    results = [
        protocol.measure(
            method, task.photos, drawn, view, shots_by, absent, seed, rows, counted=episodes
        )
        for method in methods.values()
    ]
    for result in results:
        result.settings.update(data.settings(task))
    if len(results) > 1:
        gains = [protocol.difference(results[0], other, seed) for other in results[1:]]
        results[0].metrics["differences"] = gains
    if out is not None:
        options = given(
            **written(data, sizes),
            shots=shots,
            ways=ways,
            episodes=episodes,
            seed=seed,
            shots_by=shots_by,
            absent=absent or None,
            episodes_file=episodes_file,
        )
        write_results(out, "segmentation", options, list(methods), models, results)
    if per_episode is not None:
        write_rows(per_episode, results)
    values = [result.to_json() for result in results]
    emit(values[0] if len(values) == 1 else values, json, _text(results))


def _episodes(
    task: Task, count: int, ways: int, shots: int, seed: int, file: Path | None
) -> SegmentationEpisodes:
    """Replay the episodes of a file, or draw them, and write them where a file is named."""
    if file is not None and file.exists():
        return SegmentationEpisodes.load(file).over(task.photos)
    drawn = sample_episodes(task.photos, task.classes, count, ways, shots, seed)
    if file is not None:
        drawn.save(file)
        note(f"wrote {file}")
    return drawn


def _text(results: Sequence[Result]) -> str:
    first = results[0]
    settings = first.settings
    title = (
        f"{settings['dataset']}, {settings['ways']}-way {settings['shots']}-shot,"
        f" {first.n:,} episodes, {len(settings['classes'])} classes, size {settings['size']}"
    )
    table = [["", "mIoU", "95 % interval", "FB-IoU", "presence"]]
    for result in results:
        metrics = result.metrics
        low, high = metrics["interval"]
        presence = metrics.get("presence")
        table.append(
            [
                result.model,
                percent(metrics["miou"]),
                f"{percent(low)} to {percent(high)}",
                percent(metrics["fb_iou"]),
                f"{presence['auroc']:.3f}" if presence else "",
            ]
        )
    lines = [title, "", columns(table), "", "IoU of each class"]
    names = list(first.metrics["per_class"])
    each = [[r.model, *(percent(r.metrics["per_class"][n]) for n in names)] for r in results]
    lines.append(columns([["", *names], *each]))
    for gain in first.metrics.get("differences", ()):
        low, high = gain["interval"]
        lines.append(
            f"{first.model} less {gain['against']}: {100 * gain['miou']:+.1f} points"
            f" ({100 * low:+.1f} to {100 * high:+.1f})"
        )
    if first.published:
        rows = [[row["model"], row["backbone"], percent(row["miou"])] for row in first.published]
        lines += ["", "published, mean of the folds", columns(rows)]
    return "\n".join(lines)
