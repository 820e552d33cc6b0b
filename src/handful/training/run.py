"""From a recipe to a trained model: read it, override it, train, and write the entry."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from handful import zoo
from handful.data.omniglot import OmniglotSet
from handful.errors import InputError
from handful.files import write_json, write_text
from handful.training.loop import LoopConfig, Task, train
from handful.training.state import Position

Recipe = dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """What a recipe's task hands back when the loop has ended.

    Attributes
    ----------
    tensors : dict of str to Tensor
        The weights to keep.
    card : dict
        The fields of the model's card that the task knows.
    """

    tensors: dict[str, Tensor]
    card: dict[str, Any]


Finish = Callable[[], Trained]


def recipes() -> list[str]:
    """Return the names of the recipes in the package."""
    folder = files("handful.training") / "recipes"
    return sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".yaml"))


def read_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and change what ``--set key=value`` says.

    Parameters
    ----------
    name : str
        A recipe of the package, or a YAML file of one's own.
    overrides : sequence of str
        ``key=value``, with dots between the levels of a key; the value is read as YAML.

    Raises
    ------
    InputError
        No such recipe, or an override that names nothing in it.

    Examples
    --------
    >>> read_recipe("koch-paper", ["loop.steps=5"])["loop"]["steps"]
    5
    """
    own = Path(name)
    if own.suffix in {".yaml", ".yml"}:
        if not own.is_file():
            raise InputError(f"{own}: no such recipe file")
        text = own.read_text(encoding="utf-8")
    elif name in recipes():
        text = (files("handful.training") / "recipes" / f"{name}.yaml").read_text("utf-8")
    else:
        raise InputError(f"no recipe {name!r}: there are {', '.join(recipes())}, or a .yaml file")
    recipe: Recipe = yaml.safe_load(text)
    for override in overrides:
        _override(recipe, override)
    return recipe


def _override(recipe: Recipe, override: str) -> None:
    key, equals, value = override.partition("=")
    *path, last = key.split(".")
    place: Any = recipe
    for part in path:
        place = place.get(part) if isinstance(place, dict) else None
    if not equals or not isinstance(place, dict):
        raise InputError(f"--set {override}: give key=value, as in loop.steps=1000")
    if not path and last not in recipe:
        raise InputError(f"--set {override}: the recipe has no {last!r}, only {', '.join(recipe)}")
    place[last] = yaml.safe_load(value)


def run_recipe(recipe: Recipe, root: Path, out: Path, resume: bool = False) -> dict[str, Any]:
    """Train by a recipe.

    Parameters
    ----------
    recipe : dict
        As :func:`read_recipe` gives it.
    root : Path
        The folder of the training data.
    out : Path
        The run's folder. At the end it is an entry of the zoo: ``weights.safetensors`` and
        ``card.json``, besides the curves.
    resume : bool
        Go on with a run that was stopped.

    Returns
    -------
    dict
        ``run``, ``best`` (step, monitored figures, cost) and ``weights``.
    """
    out.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(recipe, sort_keys=False)
    _same_recipe(out / "recipe.yaml", text, resume)
    loop = _loop_config(recipe)
    task, finish = _build(recipe, loop, root)
    if not (out / "recipe.yaml").exists():
        write_text(out / "recipe.yaml", text)
    position = train(task, loop, out, resume)
    trained = finish()
    entry = zoo.save_entry(out, _card(recipe, trained, root), trained.tensors)
    best = _best(position, loop)
    write_json(out / "best.json", {**best, "calibration": entry.calibration})
    return {"run": str(out), "best": best, "weights": str(out / str(entry.weights))}


def _same_recipe(path: Path, text: str, resume: bool) -> None:
    if resume and path.exists() and path.read_text(encoding="utf-8") != text:
        raise InputError(f"{path}: the run was begun with another recipe or --set; give the same")


def _loop_config(recipe: Recipe) -> LoopConfig:
    try:
        return LoopConfig(seed=recipe.get("seed", 0), **recipe["loop"])
    except TypeError as error:
        raise InputError(f"recipe {recipe.get('name')}: loop: {error}") from error


def _best(position: Position, loop: LoopConfig) -> dict[str, Any]:
    last = loop.keep == "last"
    return {
        "step": position.step if last else position.best_step,
        loop.monitor: position.metrics[loop.monitor] if last else position.best_value,
        "steps": position.step,
        "images": position.images,
        "seconds": round(position.seconds, 1),
        "precision": position.precision,
        "threads": torch.get_num_threads(),
    }


def _card(recipe: Recipe, trained: Trained, root: Path) -> zoo.Card:
    command = ["handful", "train", recipe["name"], "--root", root.name, "--out", "RUN"]
    fields = {
        "name": recipe["name"],
        "recipe": recipe["name"],
        "command": shlex.join(command),
        "seed": recipe.get("seed", 0),
        "date": datetime.date.today().isoformat(),
        **recipe["card"],
        **trained.card,
    }
    return zoo.Card(**fields)


def _build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[Task, Finish]:
    builders = {"koch": _koch, "drawing-embedding": _drawing_embedding}
    kind = recipe.get("task")
    if kind not in builders:
        raise InputError(f"recipe {recipe.get('name')}: task {kind!r} is not one of {[*builders]}")
    return builders[kind](recipe, loop, root)


def _options(model: type[Any], recipe: Recipe) -> Any:
    from pydantic import ValidationError

    try:
        return model(**recipe.get("options", {}))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        name = recipe.get("name")
        raise InputError(f"recipe {name}: options.{place}: {first['msg']}") from error


def _koch(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[Task, Finish]:
    from handful.training.characters import load_background
    from handful.training.tasks.koch import KochOptions, KochTask
    from handful.training.validation import Runs

    options = _options(KochOptions, recipe)
    parts = load_background(root, KochTask.size, recipe["validation"])
    task = KochTask(parts[0], parts[1], options, loop.steps, loop.seed)

    def finish() -> Trained:
        network = task.network.eval().cpu()
        runs = Runs.draw(parts[1], 2000, 20, seed=1)
        with torch.no_grad():
            calibration = runs.calibration(task.encode_runs(network, runs), network.all_pairs)
        return _trained(network, "koch_siamese", "koch", calibration.to_dict(), parts[2], recipe)

    return task, finish


def _drawing_embedding(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[Task, Finish]:
    from handful.backbones.drawing import DrawingNet
    from handful.similarity import cosine
    from handful.training.characters import load_background
    from handful.training.tasks.embedding import EmbeddingOptions, EmbeddingTask
    from handful.training.validation import Runs

    options = _options(EmbeddingOptions, recipe)
    size = DrawingNet(**options.network).size
    parts = load_background(root, size, recipe["validation"], options.margin)
    task = EmbeddingTask(parts[0], parts[1], options, loop.steps, loop.seed)

    def finish() -> Trained:
        network = task.network.eval().cpu()
        runs = Runs.draw(parts[1], 20_000, 20, seed=1)
        with torch.no_grad():
            calibration = runs.calibration(task.encode_runs(network, runs), cosine).to_dict()
        trained = _trained(network, "prototypes", "drawing-net", calibration, parts[2], recipe)
        trained.card["input"] = {"network": options.network, "margin": options.margin}
        return trained

    return task, finish


def _trained(
    network: torch.nn.Module,
    method: str,
    backbone: str,
    calibration: dict[str, float],
    whole: OmniglotSet,
    recipe: Recipe,
) -> Trained:
    tensors = {key: _half(value) for key, value in network.state_dict().items()}
    card = {
        "method": method,
        "backbone": backbone,
        "parameters": sum(p.numel() for p in network.parameters()),
        "calibration": calibration,
    }
    return Trained(tensors, card)


def _half(value: Tensor) -> Tensor:
    return value.half() if value.dtype == torch.float32 else value
