"""``handful evaluate segmentation``: a class learned from a few masks, found in other photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from handful.cli.common import Device, Json, columns, emit, note
from handful.cli.measuring import Count, Models, write_result
from handful.data.segmentation_episodes import SegmentationEpisodes, sample_episodes
from handful.errors import InputError
from handful.evaluation.protocols import segmentation as protocol
from handful.evaluation.published_segmentation import segmentation_rows
from handful.evaluation.results import Result, write_rows
from handful.evaluation.segmentation_data import Dataset, Request, Task, prepare
from handful.evaluation.segmenting import SIZE, ShotsBy, View
from handful.methods import segmenters

Words = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]

DEFAULT = "prototypes:handful-base"
"""The model where none is given."""

EVERY = (DEFAULT, "centre", "whole")
"""The models that need no file: what ``all`` stands for."""


def segmentation(
    *,
    dataset: Dataset,
    root: Path,
    split: Words = None,
    fold: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    classes: Words = None,
    exclude: Words = None,
    shots: Count = 1,
    ways: Count = 1,
    size: str = str(SIZE),
    seen: Annotated[int | None, Parameter(validator=Number(gte=32))] = None,
    episodes: Count = 1000,
    seed: int = 0,
    shots_by: ShotsBy = "method",
    absent: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    small_objects: bool | None = None,
    model: Models = None,
    weights: Path | None = None,
    backbone_weights: Path | None = None,
    episodes_file: Path | None = None,
    per_episode: Path | None = None,
    out: Path | None = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Segment classes from a few masks each, beside the published figures.

    Parameters
    ----------
    dataset
        The layout of the root.
    root
        The folder: VOC2012 for voc and pascal5i.
    split
        The lists that name the photos: of ImageSets/Segmentation for voc.
    fold
        The fold whose classes are tested.
    classes
        The classes to test, in the place of a fold's; in a folder without classes.txt, the names
        of the values 1, 2, ... of its masks.
    exclude
        Photos that show one of these classes take no part.
    shots
        Examples of a class.
    ways
        Classes that are asked for at once.
    size
        The side of the square on which overlaps are counted, in pixels (241, 400, 473, ...), or
        original: each photo's own size.
    seen
        The side of the square that the model sees; the size, or 241 for original.
    episodes
        How many are drawn; the classes take turns.
    seed
        What episodes are drawn from.
    shots_by
        How several shots become one answer: as the model itself does, by vote, or by or.
    absent
        So many episodes are asked again about a photo without the class.
    small_objects
        Whether photos that show a class by a few pixels are used for it; as the set's paper does
        where not given.
    model
        One or more models, or all (of those that need no file); the first is compared with the
        others on the same episodes.
    weights
        A weights file to use for the model.
    backbone_weights
        A weights file to use for the network that the model stands on.
    episodes_file
        Episodes to replay; where there is no such file yet, the drawn ones are written there.
    per_episode
        Write what every episode counted into this .csv file.
    out
        Write the result, with how it came about, into this .json file or into this folder.
    """
    names = _names(model or [DEFAULT], weights, out)
    view = _view(size, seen)
    # before the photos: what is misspelt is found at once
    methods = [segmenters.load(name, weights, device, backbone_weights) for name in names]
    rule = None if small_objects is None else not small_objects
    request = Request(dataset, root, split or (), fold, classes, exclude or (), rule)
    task = prepare(request, shots + 1)
    if task.left_out:
        note(f"left out, too few photos: {', '.join(task.left_out)}")
    drawn = _episodes(task, episodes, ways, shots, seed, episodes_file)
    comparable = task.fold is not None and drawn.ways == 1
    rows = segmentation_rows(dataset, drawn.shots, task.fold) if comparable else []
    results = [
        protocol.measure(method, task.photos, drawn, view, shots_by, absent, seed, rows)
        for method in methods
    ]
    for result in results:
        result.settings["dataset"] = dataset
        result.settings.update(_given(split=split, fold=task.fold, exclude=exclude))
    if len(results) > 1:
        gains = [protocol.difference(results[0], other, seed) for other in results[1:]]
        results[0].metrics["differences"] = gains
    if out is not None:
        options = _given(
            dataset=dataset,
            root=root,
            split=split,
            fold=fold,
            classes=classes,
            exclude=exclude,
            shots=shots,
            ways=ways,
            size=size,
            seen=seen,
            episodes=episodes,
            seed=seed,
            shots_by=shots_by,
            absent=absent or None,
            small_objects=small_objects,
            weights=weights,
            backbone_weights=backbone_weights,
            episodes_file=episodes_file,
        )
        _write(_Writing(out, options, names, seed, device, weights), results)
    if per_episode is not None:
        write_rows(per_episode, results)
    values = [result.to_json() for result in results]
    emit(values[0] if len(values) == 1 else values, json, _text(results))


@dataclass(frozen=True)
class _Writing:
    """What writing a result needs beside it."""

    out: Path
    options: dict[str, Any]
    names: Sequence[str]
    seed: int
    device: str
    weights: Path | None


def _names(asked: Sequence[str], weights: Path | None, out: Path | None) -> list[str]:
    """Resolve ``all``, and check the choice."""
    names = [name for word in asked for name in (EVERY if word == "all" else [word])]
    if len(names) > 1 and weights is not None:
        raise InputError(f"{weights}: weights belong to one model; give one --model with --weights")
    if len(names) > 1 and out is not None and out.suffix == ".json":
        raise InputError(f"{out}: several models need a folder; give --out DIR")
    return list(dict.fromkeys(names))


def _view(size: str, seen: int | None) -> View:
    if size == "original":
        return View(None, seen or SIZE)
    if not size.isdecimal() or int(size) < 32:
        raise InputError(f"size {size!r}: is a number of pixels from 32, or original")
    return View(int(size), seen or int(size))


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


def _write(writing: _Writing, results: Sequence[Result]) -> None:
    for name, result in zip(writing.names, results, strict=True):
        words = ["evaluate", "segmentation"]
        for key, value in (writing.options | {"model": name}).items():
            option = key.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{option}" if value else f"--no-{option}")
                continue
            many = [str(v) for v in value] if isinstance(value, list) else [str(value)]
            words += [f"--{option}", *many]
        settings = result.settings
        fold = settings.get("fold")
        parts = [
            *(settings.get("split") or ()),
            "" if fold is None else f"fold{fold}",
            "" if settings["ways"] == 1 else f"{settings['ways']}way",
            f"{settings['shots']}shot",
            "" if settings["shots_by"] == "method" else settings["shots_by"],
            "original" if settings["size"] == "original" else f"{settings['size']}px",
        ]
        detail = "-".join(part for part in parts if part)
        write_result(
            writing.out, result, words, writing.seed, writing.device, detail, writing.weights
        )


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
                _percent(metrics["miou"]),
                f"{_percent(low)} to {_percent(high)}",
                _percent(metrics["fb_iou"]),
                f"{presence['auroc']:.3f}" if presence else "",
            ]
        )
    lines = [title, "", columns(table), "", "IoU of each class"]
    names = list(first.metrics["per_class"])
    each = [[r.model, *(_percent(r.metrics["per_class"][n]) for n in names)] for r in results]
    lines.append(columns([["", *names], *each]))
    for gain in first.metrics.get("differences", ()):
        low, high = gain["interval"]
        lines.append(
            f"{first.model} less {gain['against']}: {100 * gain['miou']:+.1f} points"
            f" ({100 * low:+.1f} to {100 * high:+.1f})"
        )
    if first.published:
        rows = [[row["model"], row["backbone"], _percent(row["miou"])] for row in first.published]
        lines += ["", "published, mean of the folds", columns(rows)]
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
