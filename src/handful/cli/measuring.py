"""What the commands that measure models share: which models, and where results are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from handful import methods, zoo
from handful.cli.common import note
from handful.errors import InputError
from handful.evaluation.results import Result, record, result_path, write_record
from handful.files import sha256
from handful.provenance import describe_device

Count = Annotated[int, Parameter(validator=Number(gte=1))]
Models = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]
Kind = Literal["drawings", "photos"]


def chosen_models(
    asked: Sequence[str], kind: Kind, weights: Path | None = None, out: Path | None = None
) -> list[str]:
    """Resolve ``all`` to the zoo's models for one kind of picture, and check the choice.

    A card says what its model is for by ``"kind"`` in its ``input``; drawings where it does not.

    Raises
    ------
    InputError
        One weights file, or one results file, for several models.
    """
    every = [
        name
        for name, card in zoo.cards().items()
        if card.task == "recognize"
        and card.input.get("kind", "drawings") == kind
        and name not in methods.KOCH
    ]
    names = [name for word in asked for name in (every if word == "all" else [word])]
    if len(names) > 1 and weights is not None:
        raise InputError(f"{weights}: weights belong to one model; give one --model with --weights")
    if len(names) > 1 and out is not None and out.suffix == ".json":
        raise InputError(f"{out}: several models need a folder; give --out DIR")
    return names


def write_result(
    out: Path,
    result: Result,
    argv: Sequence[str],
    seed: int,
    device: str,
    detail: str = "",
    weights: Path | None = None,
    name: str | None = None,
) -> None:
    """Write a result with how it came about, and say where.

    `name` is what the model was asked for by, where that is not its own name.
    """
    path = result_path(str(out), result, detail)
    digest = zoo.digest(name or result.model) if weights is None else sha256(weights)
    write_record(path, record(result, argv, seed, describe_device(device), digest))
    note(f"wrote {path}")
