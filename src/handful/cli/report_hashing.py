"""``handful report hashing``: few-shot retrieval by codes as curves, from results files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from handful.cli.common import Json, emit
from handful.cli.measuring import Count, Models
from handful.errors import InputError
from handful.files import write_json
from handful.provenance import describe_device, provenance
from handful.report.hashing import choose_curves, draw_curves
from handful.report.hashing_results import Over, read_points

Figure = Literal["shots", "lengths"]


def hashing(
    *,
    results: Path,
    out: Path,
    figure: Figure = "shots",
    model: Models = None,
    dataset: str | None = None,
    backbone: str | None = None,
    bits: Count | None = None,
    shots: Count | None = None,
    json: Json = False,
) -> None:
    """Draw mAP and precision@2 as `handful evaluate hashing` measured them.

    Parameters
    ----------
    results
        The folder that `handful evaluate hashing --out` wrote.
    out
        The folder for FIGURE.png, and FIGURE.json with the numbers drawn.
    figure
        shots: over the examples of a class, at one length of a code. lengths: over the length of
        a code, at one number of examples.
    model
        One or more models; all that were measured where none is given.
    dataset
        The data set, where the folder holds several.
    backbone
        The network of the features, where the folder holds several.
    bits
        For shots, the length of a code; 16 where not given.
    shots
        For lengths, the examples of a class; 10 where not given.
    """
    over: Over = "shots" if figure == "shots" else "bits"
    if figure == "shots" and shots is not None:
        raise InputError("--shots is the axis of --figure shots: give --bits, or --figure lengths")
    if figure == "lengths" and bits is not None:
        raise InputError("--bits is the axis of --figure lengths: give --shots, or --figure shots")
    fixed = bits or 16 if figure == "shots" else shots or 10
    curves = choose_curves(read_points(results), over, fixed, model or (), dataset, backbone)
    path = out / f"{figure}.png"
    draw_curves(path, curves)
    first = curves.any
    other = "--bits" if figure == "shots" else "--shots"
    argv = ["report", "hashing", "--results", str(results), "--out", str(out), "--figure", figure]
    argv += ["--dataset", first.dataset, "--backbone", first.backbone, other, str(fixed)]
    argv += ["--model", *model] if model else []
    origin = provenance(argv, int(first.setup["seed"]), describe_device("cpu"))
    write_json(out / f"{figure}.json", {"figure": figure, **curves.to_json(), **origin})
    answer = {"figures": [str(path)], "models": [*curves.curves]}
    emit(answer, json, str(path))
