"""Recipes: YAML files that say how a model is made, and what their tasks hand back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import yaml
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn

from handful.errors import InputError
from handful.methods.calibration import Calibration

Recipe = dict[str, Any]
Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class Trained:
    """What a recipe's task hands back when its training has ended.

    Attributes
    ----------
    method, backbone : str
        The file of ``handful.methods`` that uses the weights, and the network they belong to.
    calibration : Calibration or None
        How to read its scores, fitted on validation classes; None for what gives no scores.
    files : list of str
        The training files, relative to the data's root.
    network : nn.Module or None
        What was learned; None for a method that learns nothing but its calibration.
    input : dict
        What preparing a picture needs to know.
    start : str or None
        The model whose weights it began with: a folder, or a name of the zoo.
    """

    method: str
    backbone: str
    calibration: Calibration | None
    files: list[str]
    network: nn.Module | None = None
    input: dict[str, Any] = field(default_factory=dict)
    start: str | None = None

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The weights in half precision."""
        state = self.network.state_dict() if self.network is not None else {}
        return {k: v.half() if v.dtype == torch.float32 else v for k, v in state.items()}

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return sum(p.numel() for p in self.network.parameters()) if self.network else 0


Finish = Callable[[], Trained]

UNLABELLED = ("hash-library",)
"""Tasks that know no classes, and so have none to validate on."""


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
        No such recipe, one that is not whole, or an override that names nothing in it.

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
    recipe: Recipe = _yaml(text, name)
    unlabelled = isinstance(recipe, dict) and recipe.get("task") in UNLABELLED
    needed = ["name", "task", *([] if unlabelled else ["validation"]), "card"]
    if not isinstance(recipe, dict) or not recipe.keys() >= set(needed):
        raise InputError(f"{name}: is no recipe; it needs {', '.join(needed)}")
    for override in overrides:
        _override(recipe, override)
    if unlabelled:
        return recipe
    held = recipe["validation"]
    if isinstance(held, float) and 0 < held < 1:
        return recipe
    if not isinstance(held, list) or not held or not all(isinstance(x, str) for x in held):
        raise InputError(f"{name}: validation is {held!r}: name classes, or give a share of them")
    return recipe


def held_out(recipe: Recipe, classes: Sequence[str], seed: int) -> list[str]:
    """Return the validation classes of a recipe: the named ones, or a share drawn by the seed.

    Raises
    ------
    InputError
        A class that is not there, or fewer than two on either side.
    """
    asked = recipe["validation"]
    if isinstance(asked, float):
        count = max(2, round(asked * len(classes)))
        drawn = np.random.default_rng(seed).permutation(len(classes))[:count]
        held = [classes[i] for i in sorted(drawn.tolist())]
    else:
        held = asked
    if unknown := sorted(set(held) - set(classes)):
        raise InputError(f"recipe {recipe['name']}: validation: no class {unknown[0]!r} there")
    if len(held) < 2 or len(classes) - len(held) < 2:
        raise InputError(
            f"recipe {recipe['name']}: validation: {len(held)} of {len(classes)} classes leaves no"
            " two on each side; give more classes, or another share"
        )
    return held


def named(recipe: Recipe) -> list[str]:
    """Return the validation classes of a recipe that has to name them."""
    if isinstance(recipe["validation"], float):
        raise InputError(f"recipe {recipe['name']}: validation: name the alphabets, no share")
    classes: list[str] = recipe["validation"]
    return classes


def _override(recipe: Recipe, override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise InputError(f"--set {override}: give key=value, as in loop.steps=1000")
    *path, last = key.split(".")
    place: Any = recipe
    for part in path:
        place = place.get(part)
        if not isinstance(place, dict):
            raise InputError(f"--set {override}: the recipe has no {part!r} with keys of its own")
    if not path and last not in recipe:
        raise InputError(f"--set {override}: the recipe has no {last!r}, only {', '.join(recipe)}")
    place[last] = _yaml(value, f"--set {override}")


def _yaml(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{source}: is no YAML ({reason})") from error


def options(model: type[Options], recipe: Recipe) -> Options:
    """Read the ``options`` of a recipe.

    Raises
    ------
    InputError
        An option that is unknown or has a wrong value.
    """
    try:
        return model.model_validate(recipe.get("options", {}))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("options", *first["loc"])))
        raise InputError(f"recipe {recipe['name']}: {place}: {first['msg']}") from error
