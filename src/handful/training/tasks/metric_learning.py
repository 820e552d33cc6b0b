"""Metric learning on photos: contrastive, triplet, quadruplet and their rivals."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from handful.backbones import build as build_backbone
from handful.backbones.cut import Cut
from handful.backbones.tail import Tail
from handful.methods.similarity_attention import Kind
from handful.training.frozen_photos import FrozenPhotos, freeze
from handful.training.loop import LoopConfig
from handful.training.losses import Loss, LossName, make_loss
from handful.training.recipe import Finish, Recipe
from handful.training.recipe import options as read_options
from handful.training.tuning import (
    Learner,
    TuningOptions,
    TuningTask,
    finisher,
    parted,
    tuning_classes,
)

KINDS: dict[str, Kind] = {"contrastive": "same", "quadruplet": "quadruplet"}
"""What is mined beside a loss; triplets for all others."""


class MetricLearningOptions(TuningOptions):
    """The options of metric learning.

    Attributes
    ----------
    size : int
        Side to which photos are brought.
    features : int or None
        Dimensions of the vector; None: the backbone's own.
    loss : str
        See :func:`handful.training.losses.make_loss`.
    margin : float or None
        Of the loss; None: its own.
    """

    size: int = Field(160, ge=32)
    features: int | None = Field(None, ge=1)
    loss: LossName = "triplet"
    margin: float | None = Field(None, gt=0)


class MetricLearner(Learner):
    """A tail whose vectors a loss of metric learning arranges.

    Parameters
    ----------
    tail : Tail
        With the backbone's weights loaded.
    loss : callable
        Of unit features and classes.
    learned : nn.Module or None
        What the loss learns itself.
    kind : {"same", "triplet", "quadruplet"}
        The tuples that are mined.
    """

    def __init__(self, tail: Tail, loss: Loss, learned: nn.Module | None, kind: Kind) -> None:
        super().__init__(tail, kind)
        # in a list: a loss that learns is no second part of the module
        self._criterion, self.learned = [loss], learned

    def forward(self, frozen: Tensor) -> tuple[Tensor, Tensor]:
        """Map the trunk's output to the last map and the vectors (N, D)."""
        found: tuple[Tensor, Tensor] = self.tail(frozen)
        return found

    def criterion(self, maps: Tensor, vectors: Tensor, index: Tensor) -> Tensor:
        """Return the loss of unit vectors."""
        return self._criterion[0](normalize(vectors.float(), dim=1), index)

    def cut(self) -> Cut:
        """Return the whole network, whose attention has a closed form."""
        return self.tail.cut()

    def groups(self, rate: float) -> list[dict[str, object]]:
        """Return what learns; proxies learn a hundred times faster."""
        groups = [{"params": [p for p in self.tail.parameters() if p.requires_grad], "rate": rate}]
        if self.learned is not None:
            groups.append({"params": list(self.learned.parameters()), "rate": 100 * rate})
        return groups


def make_task(
    tail: Tail,
    photos: FrozenPhotos,
    held: set[str],
    options: MetricLearningOptions,
    loop: LoopConfig,
) -> TuningTask:
    """Return the task of training a tail on photos, those of `held` classes for validation."""
    torch.manual_seed(loop.seed)  # proxies are drawn
    training, validation = parted(photos, held)
    if options.last is not None:
        tail.train_last(options.last)
    loss = make_loss(options.loss, tail.features, training.ways, options.margin)
    learner = MetricLearner(tail, *loss, KINDS.get(options.loss, "triplet"))
    return TuningTask(learner, training, validation, options, loop.steps)


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[TuningTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    options = read_options(MetricLearningOptions, recipe)
    folder, held = tuning_classes(recipe, options, root, loop.seed)
    backbone = build_backbone(options.backbone).load(options.weights)
    torch.manual_seed(loop.seed)  # a projection of other dimensions is drawn
    tail = Tail(backbone, options.features)
    photos = freeze(tail, backbone, folder, options.size)
    task = make_task(tail, photos, held, options, loop)
    known: dict[str, object] = {"size": options.size, "tail": tail.features}
    return task, finisher(task, backbone, lambda tail: tail, known, loop.seed)
