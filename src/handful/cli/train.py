"""``handful train``: make a model by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from handful.cli.common import Json, emit
from handful.errors import InputError


def train(
    recipe: str,
    /,
    *,
    root: Path,
    out: Path,
    overrides: Annotated[
        list[str] | None, Parameter(name="--set", consume_multiple=True, negative=())
    ] = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
) -> None:
    """Train a model by a recipe; stop it whenever you like and go on with --resume.

    Parameters
    ----------
    recipe
        A recipe of the package, or a YAML file of your own.
    root
        The folder of the training data.
    out
        The run's folder: curves, state, and at the end weights.safetensors and card.json.
    overrides
        key=value, changes of the recipe: loop.steps=1000 options.batch=64.
    resume
        Go on with the run in --out.
    """
    try:
        from handful.training.recipe import read_recipe
        from handful.training.run import run_recipe

        changes = overrides or []
        asked = [recipe, *(word for change in changes for word in ("--set", change))]
        answer = run_recipe(read_recipe(recipe, changes), root, out, resume, asked)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in {"lightning", "tensorboard"}:
            raise InputError("training needs the extra: pip install 'handful[train]'") from error
        raise
    emit(answer, json, _text(answer))


def _text(answer: dict[str, Any]) -> str:
    best = answer["best"]
    figures = "".join(f", {name} {value:.4f}" for name, value in best.get("metrics", {}).items())
    at = f"step {best['step']}{figures}, {best['seconds']:.0f} s" if best else "calibrated"
    return f"{answer['run']}: {at}"
