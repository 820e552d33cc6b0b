"""``handful evaluate reid``: who is this, among all that cameras saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from handful import methods
from handful.cli.common import Device, Json, columns, emit
from handful.cli.measuring import Models, chosen_models, write_result
from handful.data.retrieval_sets import ReidLayout, read_reid_set
from handful.evaluation.protocols.reid import KS, measure
from handful.evaluation.results import Result, write_rows


def reid(
    *,
    root: Path,
    layout: ReidLayout = "folders",
    model: Models = None,
    size: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    weights: Path | None = None,
    backbone_weights: Path | None = None,
    per_episode: Path | None = None,
    out: Path | None = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Let queries search a gallery for other views of whom they show.

    Parameters
    ----------
    root
        The folder of the set.
    layout
        market, cuhk03: folders query and bounding_box_test, identity and camera in the file
        names. veri: the same with image_query and image_test. folders: one sub-folder an
        identity (or a manifest with labels, its groups taken for cameras), where every image
        queries all others.
    model
        One or more models, or all (of those for photos); handful-base where none is given.
    size
        The side to which the model resizes a photo, in pixels.
    weights
        A weights file to use for the model.
    backbone_weights
        A weights file to use for the network that the model stands on.
    per_episode
        Write what every query found into this .csv file.
    out
        Write the result, with how it came about, into this .json file or into this folder.
    """
    names = chosen_models(model or ["handful-base"], "photos", weights, out)
    images = read_reid_set(root, layout)
    given: dict[str, Any] = {"size": size, "backbone_weights": backbone_weights}
    given = {key: value for key, value in given.items() if value is not None}
    results = []
    for name in names:
        result = measure(methods.load(name, weights, device, **given), images, layout)
        result.settings.update({"size": size} if size else {})
        results.append(result)
    for name, result in zip(names, results, strict=True) if out is not None else ():
        options = {"root": root, "layout": layout, "model": name, "weights": weights, **given}
        words = [(f"--{k.replace('_', '-')}", str(v)) for k, v in options.items() if v is not None]
        argv = ["evaluate", "reid", *(word for pair in words for word in pair)]
        detail = f"{size}px" if size else ""
        write_result(Path(str(out)), result, argv, 0, device, detail, weights)
    if per_episode is not None:
        write_rows(per_episode, results)
    values = [result.to_json() for result in results]
    one = len(values) == 1 and model != ["all"]
    emit(values[0] if one else values, json, _text(results))


def _text(results: list[Result]) -> str:
    first = results[0]
    settings = first.settings
    cameras = f", {settings['cameras']} cameras" if settings["cameras"] else ""
    title = (
        f"Re-identification, {first.n:,} queries, {settings['gallery']:,} images searched,"
        f" {settings['identities']:,} identities{cameras}"
    )
    rows = [["", *(f"cmc@{k}" for k in KS), "95 % interval of cmc@1", "map"]]
    for result in results:
        metrics = result.metrics
        low, high = metrics["interval"]
        shares = [f"{100 * metrics[f'cmc@{k}']:.1f} %" for k in KS]
        interval = f"{100 * low:.1f} to {100 * high:.1f}"
        rows.append([result.model, *shares, interval, f"{100 * metrics['map']:.1f} %"])
    for row in first.published:
        figures = [f"{100 * row['cmc@1']:.1f} %", "", "", "published", f"{100 * row['map']:.1f} %"]
        rows.append([row["model"], *figures])
    lines = [title, "", columns(rows)]
    lines += [f"skipped {path}: {why}" for path, why in settings["skipped"]]
    return "\n".join(lines)
