"""A library of hash functions, hyper-trained on images without labels."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from handful.errors import InputError
from handful.methods.hashing import Settings, hyper_train
from handful.methods.hashing.axes import kept_projection
from handful.methods.hashing.code_table import Solver
from handful.methods.hashing.dbc import Loss
from handful.methods.hashing.features import feature_model, features_of, unlabelled_folder
from handful.training.loop import LoopConfig, Task
from handful.training.recipe import Finish, Recipe, Trained
from handful.training.recipe import options as read_options


class HashLibraryOptions(BaseModel):
    """The options of a library; those of a round are of `handful.methods.hashing.Settings`.

    Attributes
    ----------
    backbone : str
        The network whose features are hashed: a name of the zoo, ``torchvision:NAME``, ...
    weights : str or None
        A weights file of the network; None: its own.
    size : int or None
        Side to which photos are brought; None: the model's own.
    crops : {1, 10}
        Whether features are means over ten crops.
    axes : int or None
        Principal axes of the features that rounds are learned on; None: all dimensions.
    device : str
        Where the network runs.
    rounds : int
        Each gives `n_bits` functions.
    workers : int
        Rounds at once; -1: one for each core. It changes nothing but the time.
    precision : {"float16", "int8"}
        How weights are stored.
    """

    model_config = ConfigDict(extra="forbid")

    backbone: str = "handful-base"
    weights: str | None = None
    size: int | None = Field(None, ge=32)
    crops: Literal[1, 10] = 1
    axes: int | None = Field(None, ge=1)
    device: str = "auto"
    rounds: int = Field(2000, ge=1)
    workers: int = -1
    precision: Literal["float16", "int8"] = "float16"
    sample: int = Field(20_000, ge=2)
    tries: int = Field(50, ge=1)
    categories: int = Field(30, ge=2)
    size_of_category: int = Field(6, ge=1)
    n_bits: int = Field(10, ge=1)
    expansion: int = Field(50, ge=1)
    held_out: int = Field(5, ge=1)
    loss: Loss = "squared"
    solver: Solver = "exact"

    def round_settings(self) -> Settings:
        """Return what a round is made of."""
        own = {field.name: getattr(self, field.name) for field in fields(Settings)}
        return Settings(**own | {"size": self.size_of_category})


def build(
    recipe: Recipe, loop: LoopConfig | None, root: Path, out: Path
) -> tuple[Task | None, Finish]:
    """Return no task: rounds are independent, and are written into `out` as they finish."""
    options = read_options(HashLibraryOptions, recipe)
    if loop is not None:
        raise InputError(f"recipe {recipe['name']}: task hash-library has no loop; set its rounds")
    if options.held_out >= options.expansion:
        raise InputError(f"recipe {recipe['name']}: options.held_out: less than the expansion")
    settings = options.round_settings()
    folder = unlabelled_folder(root)
    settings.check(len(folder))
    asked = options.backbone, options.device, options.size, options.weights
    matcher = feature_model(*asked, options.crops)

    def finish() -> Trained:
        read, features = features_of(matcher, folder, out / "features")
        rounds = out / "rounds", options.rounds, recipe.get("seed", 0), settings, options.workers
        if options.axes is None:
            library = hyper_train(features, *rounds)
        else:
            axes, projected = kept_projection(features, options.axes, out / "features")
            library = axes.lift(hyper_train(projected, *rounds), projected)
        network = nn.Module()
        for name, tensor in library.tensors(options.precision).items():
            network.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
        return Trained(
            method="hashing",
            backbone=matcher.backbone,
            calibration=None,
            files=list(read.names),
            network=network,
            input={"kind": "photos", "crops": options.crops}
            | ({} if options.size is None else {"size": options.size}),
        )

    return None, finish
