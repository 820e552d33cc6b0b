"""An embedding of drawings: naming the training characters, and telling rivals apart."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import AdamW, Optimizer

from handful.backbones.drawing import DrawingNet
from handful.similarity import cosine
from handful.training.characters import Characters, load_background, rivals, whole_groups
from handful.training.distort import Hand, quarter_turns
from handful.training.loop import LoopConfig
from handful.training.naming import Naming
from handful.training.recipe import Finish, Recipe, Trained, named
from handful.training.recipe import options as read_options
from handful.training.validation import Runs


class DrawingEmbeddingOptions(BaseModel):
    """The options of a drawing embedding's recipe.

    Attributes
    ----------
    network : dict
        Arguments of :class:`handful.backbones.drawing.DrawingNet`.
    margin : float
        Border around the strokes' box, see :func:`handful.images.ink`.
    batch : int
        Images of a step.
    members : int
        Rivals, characters of one alphabet, that are told apart together; `batch` is a multiple of
        twice as many.
    turns : int
        4: quarter turns of a character are characters of their own; 8: mirrored ones too; 1: none.
    hand : Hand
        Spread of the distortions, see :class:`handful.training.distort.Hand`.
    rate, decay : float
        Peak rate and weight decay of AdamW.
    warmup : float
        Part of the run over which the rate rises; it then falls along a cosine.
    scale : float
        Factor on the cosines of the naming loss.
    rivalry : float
        Weight of the one-shot loss among rivals.
    temperature : float
        Divisor of its cosines.
    """

    model_config = ConfigDict(extra="forbid")

    network: dict[str, Any] = {}
    margin: float = Field(0.25, ge=0)
    batch: int = Field(256, ge=2)
    members: int = Field(16, ge=2)
    turns: Literal[1, 4, 8] = 4
    hand: Hand = Hand()
    rate: float = Field(4e-3, gt=0)
    decay: float = Field(0.02, ge=0)
    warmup: float = Field(0.05, gt=0, lt=1)
    scale: float = Field(16.0, gt=0)
    rivalry: float = Field(1.0, ge=0)
    temperature: float = Field(0.1, gt=0)
    validation_trials: int = Field(4000, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        whole_groups(self.batch, self.members)
        try:
            signature(DrawingNet).bind(**self.network)
        except TypeError as error:
            raise ValueError(f"network: {error}") from error
        return self


class _Trained(nn.Module):
    def __init__(self, network: DrawingNet, naming: Naming) -> None:
        super().__init__()
        self.network = network
        self.naming = naming


class DrawingEmbeddingTask:
    """Train :class:`DrawingNet` on Omniglot's background alphabets.

    The loss names every character (turned ones are others) with a cosine classifier, and asks
    of each group of rivals, one alphabet by two drawers, the one-shot question that will be
    asked later (J. Snell et al., "Prototypical networks for few-shot learning", 2017, equation
    2, with cosines).

    Parameters
    ----------
    training, validation : Characters
        Drawings at the network's size, of different alphabets.
    options : DrawingEmbeddingOptions
        The recipe.
    steps : int
        Length of the run, for the schedule.
    seed : int
        Seed of the initial weights.
    """

    def __init__(
        self,
        training: Characters,
        validation: Characters,
        options: DrawingEmbeddingOptions,
        steps: int,
        seed: int,
    ) -> None:
        torch.manual_seed(seed)
        self.options = options
        self.training = training
        self.validation = validation
        self.steps = steps
        network = DrawingNet(**options.network)
        naming = Naming(network.features, len(training) * options.turns, options.scale)
        self.network = network
        self.model: nn.Module = _Trained(network, naming)
        self.hand = options.hand
        self.batch_size = options.batch
        self.runs = Runs.draw(validation, options.validation_trials, 20, seed=0)

    def optimizer(self) -> Optimizer:
        """Return AdamW; norms and biases do not decay, nor do the proxies."""
        model = self.model
        assert isinstance(model, _Trained)
        weights = [p for p in model.network.parameters() if p.ndim > 1]
        rest = [p for p in model.parameters() if p.ndim == 1] + [model.naming.proxies]
        groups = [
            {"params": weights, "weight_decay": self.options.decay},
            {"params": rest, "weight_decay": 0.0},
        ]
        return AdamW(groups, lr=self.options.rate, betas=(0.9, 0.98))

    def schedule(self, optimizer: Optimizer, step: int) -> None:
        """Raise the rate linearly, then let it fall along a cosine."""
        part, warm = step / self.steps, self.options.warmup
        fall = 0.5 * (1 + np.cos(np.pi * max(0.0, (part - warm) / (1 - warm))))
        for group in optimizer.param_groups:
            group["lr"] = self.options.rate * min(1.0, (part + 1 / self.steps) / warm) * fall

    def loss(self, generator: torch.Generator) -> Tensor:
        """Return the naming loss plus the one-shot loss among rivals."""
        model, o = self.model, self.options
        assert isinstance(model, _Trained)
        groups = o.batch // (2 * o.members)
        character, drawer = rivals(self.training, groups, o.members, generator)
        turn = torch.randint(o.turns, (groups, 1, 1), generator=generator).expand_as(character)
        ink = self.training.pixels(character.flatten(), drawer.flatten())
        ink = self.hand(quarter_turns(ink, turn.flatten()), generator)
        features = model.network(ink.to(model.naming.proxies.device)).float()
        name = (character * o.turns + turn).flatten()
        drawn = features.view(groups, 2, o.members, -1)
        logits = cosine(drawn[:, 1], drawn[:, 0]) / o.temperature
        named: Tensor = model.naming(features, name)
        return named + o.rivalry * one_shot_loss(logits, character[:, 0])

    @torch.no_grad()
    def encode_runs(self, network: DrawingNet, runs: Runs) -> Tensor:
        """Return the features (runs, 2, ways, D) of the drawings of `runs`, on the processor."""
        device = network.positions.device
        return runs.encode(self.validation, lambda ink: network(ink.to(device)).float().cpu())

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the accuracy of 20-way one-shot trials on the validation alphabets."""
        assert isinstance(model, _Trained)
        features = self.encode_runs(model.network.eval(), self.runs)
        return {"one_shot": self.runs.accuracy(features, cosine)}


def one_shot_loss(logits: Tensor, character: Tensor) -> Tensor:
    """Return the cross-entropy of one drawer's characters against the other's, both ways.

    Parameters
    ----------
    logits : Tensor
        (groups, members, members): queries of one drawer against supports of the other.
    character : Tensor
        (groups, members): which character each column shows; repeated ones are no rivals.
    """
    members = character.shape[1]
    same = character[:, :, None] == character[:, None]
    own = torch.eye(members, dtype=torch.bool)
    logits = logits.masked_fill((same & ~own).to(logits.device), -1e4)
    target = torch.arange(members, device=logits.device).repeat(len(character))
    there = cross_entropy(logits.flatten(0, 1), target)
    back = cross_entropy(logits.transpose(1, 2).flatten(0, 1), target)
    return 0.5 * (there + back)


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[DrawingEmbeddingTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    options = read_options(DrawingEmbeddingOptions, recipe)
    size = DrawingNet(**options.network).size
    data = load_background(root, size, named(recipe), options.margin)
    task = DrawingEmbeddingTask(data.training, data.validation, options, loop.steps, loop.seed)

    def finish() -> Trained:
        network = task.network.eval().cpu()
        runs = Runs.draw(data.validation, 20_000, 20, seed=1)
        return Trained(
            method="prototypes",
            backbone="drawing-net",
            calibration=runs.calibration(task.encode_runs(network, runs), cosine),
            files=data.files,
            network=network,
            input={"network": options.network, "margin": options.margin},
        )

    return task, finish
