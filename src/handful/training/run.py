"""From a recipe to a trained model: build its task, train, and write the entry of the zoo."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from handful import zoo
from handful.errors import InputError
from handful.files import write_json, write_text
from handful.provenance import command_line, describe_device, provenance
from handful.training.log import read_curve
from handful.training.loop import LoopConfig, Task, train
from handful.training.recipe import UNLABELLED, Finish, Recipe, Trained
from handful.training.state import Position, holds_run

TASKS = (
    "calibration",
    "dense-siamese",
    "drawing-embedding",
    "hash-library",
    "koch",
    "metric-learning",
    "mshnet",
    "oslsm",
    "pcb",
    "photo-calibration",
    "projection",
)
"""The files of :mod:`handful.training.tasks`, one a kind of recipe."""

LOOPED = (
    "dense-siamese",
    "drawing-embedding",
    "koch",
    "metric-learning",
    "mshnet",
    "oslsm",
    "pcb",
)
"""Tasks that need a loop with steps."""

FILES = "files.txt"


def run_recipe(
    recipe: Recipe, root: Path, out: Path, resume: bool = False, asked: Sequence[str] = ()
) -> dict[str, Any]:
    """Train by a recipe.

    Parameters
    ----------
    recipe : dict
        As :func:`read_recipe` gives it.
    root : Path
        The folder of the training data.
    out : Path
        The run's folder. At the end it is an entry of the zoo, ``weights.safetensors`` and
        ``card.json``, besides the curves and ``result.json``, which tells the run's whole story.
    resume : bool
        Go on with a run that was stopped.
    asked : sequence of str
        How the recipe was asked for, its name and every ``--set``, for the card; by default its
        name.

    Returns
    -------
    dict
        ``run``, ``best`` (step, figures on validation classes, cost) and ``weights``.

    Raises
    ------
    InputError
        A recipe with a wrong setting, or a folder that holds another run; found out before
        anything is written.
    """
    text = yaml.safe_dump(recipe, sort_keys=False)
    _accept(out, text, resume)
    loop = _loop_config(recipe)
    _card(recipe)
    task, finish = _build(recipe, loop, root, out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "recipe.yaml", text)
    best: dict[str, Any] = {}
    if task is not None and loop is not None:
        best = _best(train(task, loop, out, resume), loop)
    trained = finish()
    argv = ["train", *(asked or [recipe["name"]]), "--root", str(root), "--out", str(out)]
    entry = _write_entry(recipe, trained, command_line(argv), out)
    if loop is not None:
        origin = provenance(argv, loop.seed, describe_device("auto"))
        write_json(out / "result.json", _result(recipe, loop, best, trained, out) | origin)
    return {"run": str(out), "best": best, "weights": entry.weights and str(out / entry.weights)}


def _accept(out: Path, text: str, resume: bool) -> None:
    """Refuse a folder that holds another run, or a model already."""
    if not resume and (holds_run(out) or zoo.is_entry(out)):
        raise InputError(f"{out}: holds a run already; add --resume or name a new --out folder")
    path = out / "recipe.yaml"
    if resume and path.exists() and path.read_text(encoding="utf-8") != text:
        raise InputError(f"{path}: the run was begun with another recipe or --set; give the same")


def _loop_config(recipe: Recipe) -> LoopConfig | None:
    if "loop" not in recipe:
        return None
    try:
        return LoopConfig(seed=recipe.get("seed", 0), **recipe["loop"])
    except TypeError as error:
        raise InputError(f"recipe {recipe.get('name')}: loop: {error}") from error


def _best(position: Position, loop: LoopConfig) -> dict[str, Any]:
    last = loop.keep == "last"
    return {
        "step": position.step if last else position.best_step,
        "metrics": position.metrics if last else {loop.monitor: position.best_value},
        "steps": position.step,
        "images": position.images,
        "seconds": round(position.seconds, 1),
        "precision": position.precision,
    }


def _result(
    recipe: Recipe, loop: LoopConfig, best: dict[str, Any], trained: Trained, out: Path
) -> dict[str, Any]:
    """Return the run as a result: what it reached, what it cost, and its whole curve."""
    return {
        "protocol": "training",
        "model": recipe["name"],
        "backbone": trained.backbone,
        "n": len(trained.files),
        **best,
        "options": {key: _bare(value) for key, value in recipe.get("options", {}).items()},
        "curve": read_curve(out),
    }


def _bare(value: object) -> object:
    """Leave of a path only its name: where a file lay is nobody's business."""
    rooted = isinstance(value, str) and Path(value).is_absolute()
    return Path(str(value)).name if rooted else value


def _write_entry(recipe: Recipe, trained: Trained, command: str, out: Path) -> zoo.Card:
    card = _card(
        recipe,
        command=command,
        date=datetime.date.today().isoformat(),
        method=trained.method,
        backbone=trained.backbone,
        parameters=trained.parameters,
        calibration=trained.calibration.to_dict() if trained.calibration else None,
        input=trained.input,
        files=zoo.LearnedFrom(list=FILES, count=len(trained.files)),
    )
    earlier = f"\nIt began with what {zoo.seen(trained.start)}" if trained.start else ""
    write_text(out / FILES, by_folder(trained.files) + earlier)
    return zoo.save_entry(out, card, trained.tensors)


def _card(recipe: Recipe, **facts: Any) -> zoo.Card:
    """Return the recipe's card; without `facts`, only to see that it will be one."""
    name = recipe["name"]
    facts = {"method": "", "backbone": "", **facts}
    try:
        return zoo.Card(
            name=name, recipe=name, seed=recipe.get("seed", 0), **facts, **recipe["card"]
        )
    except (ValidationError, TypeError) as error:
        if not isinstance(error, ValidationError):
            raise InputError(f"recipe {name}: card: {error}") from error
        first = error.errors()[0]
        place = ".".join(map(str, ("card", *first["loc"])))
        raise InputError(f"recipe {name}: {place}: {first['msg']}") from error


def by_folder(paths: Sequence[str]) -> str:
    """List files as one line a folder: the folder, and every name in it.

    Names that count up without a gap are named by their first and last.

    Examples
    --------
    >>> print(by_folder(["a/1.png", "a/2.png", "a/3.png", "b/x2.png", "b/x9.png"]), end="")
    a/: 1.png .. 3.png (3)
    b/: x2.png x9.png
    """
    folders: dict[str, list[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    return "".join(f"{folder}/: {_span(sorted(names))}\n" for folder, names in folders.items())


def _span(names: list[str]) -> str:
    """Shorten names that count up without a gap, as in ``0001_01.png .. 0001_20.png (20)``."""
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", name) for name in names]
    counted = [(m[1], int(m[2]), m[3]) for m in parts if m]
    first = counted[0] if counted else ("", 0, "")
    gapless = [(first[0], first[1] + k, first[2]) for k in range(len(names))]
    if len(names) > 2 and counted == gapless:
        return f"{names[0]} .. {names[-1]} ({len(names)})"
    return " ".join(names)


def _build(
    recipe: Recipe, loop: LoopConfig | None, root: Path, out: Path
) -> tuple[Task | None, Finish]:
    kind = recipe.get("task")
    if kind not in TASKS:
        raise InputError(f"recipe {recipe.get('name')}: task {kind!r} is not one of {[*TASKS]}")
    if loop is None and kind in LOOPED:
        raise InputError(f"recipe {recipe['name']}: task {kind} needs a loop with steps")
    module = import_module(f"handful.training.tasks.{kind.replace('-', '_')}")
    # a task without the loop that can go on after a kill keeps its own state
    where = (out,) if kind in UNLABELLED else ()
    built: tuple[Task | None, Finish] = module.build(recipe, loop, root, *where)
    return built
