"""Siamese dense matching, trained on pairs of photos over frozen features."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from handful.backbones import build as build_backbone
from handful.data.segmentation.photos import SegmentationSet
from handful.methods.dense_pixels import cells
from handful.methods.dense_siamese import (
    FEATURES,
    WIDTH,
    DenseSiamese,
    DenseSiameseSegmentation,
    DenseSimilarity,
    pair_loss,
)
from handful.methods.segmenter import CUT, VOID, at_size
from handful.training.loop import LoopConfig
from handful.training.recipe import Finish, Recipe, Trained
from handful.training.recipe import options as read_options
from handful.training.segmentation_photos import (
    Drawn,
    Draws,
    Photos,
    SegmentationOptions,
    Validation,
    cosine_fall,
    segmentation_data,
)


class DenseSiameseOptions(SegmentationOptions):
    """The options of dense matching's training.

    Attributes
    ----------
    layers : list of str or None
        Maps of the backbone; by default those of strides 16 and 32.
    width : int
        Channels that are compared.
    share : float
        Of the pixels of either photo that a step looks at.
    pairs : {"all", "balanced"}
        Whether all pairs of pixels count alike, or object and ground of each photo. After 300
        steps on 16 photos a class the mIoU of the validation classes is .346 and .382.
    rate, decay : float
        Of AdamW; the rate falls along a cosine.
    """

    layers: list[str] | None = None
    width: int = Field(WIDTH, ge=1)
    share: float = Field(0.5, gt=0, le=1)
    pairs: Literal["all", "balanced"] = "balanced"
    rate: float = Field(1e-3, gt=0)
    decay: float = Field(1e-4, ge=0)


class DenseSiameseTask:
    """Train the features and the similarity together; the backbone stays as it is.

    Parameters
    ----------
    model : DenseSiamese
        With its backbone's weights loaded.
    dataset : SegmentationSet
        Photos to train and validate on.
    classes, validation : sequence of str
        Training classes, and validation classes, never trained on.
    options : DenseSiameseOptions
        The recipe.
    steps, seed : int
        Length of the run, and what the photos of each class are drawn from.
    """

    def __init__(
        self,
        model: DenseSiamese,
        dataset: SegmentationSet,
        classes: tuple[str, ...],
        validation: tuple[str, ...],
        options: DenseSiameseOptions,
        steps: int,
        seed: int,
    ) -> None:
        self.net, self.options, self.steps = model, options, steps
        # what is saved and averaged is what learns: the backbone is not in it
        self.model: nn.Module = model.similarity
        self.photos = Photos(dataset, model.backbone, model.maps, options.size, options.memory)
        self.draws = Draws(dataset, classes, validation, options, seed)
        self.validation = Validation(self.photos, validation, options)
        self.batch_size = options.batch
        self._door = DenseSiameseSegmentation(model, "in training")

    def optimizer(self) -> Optimizer:
        """Return AdamW; alpha and beta, which are few, do not decay."""
        o, named = self.options, dict(self.model.named_parameters())
        return AdamW(
            [
                {"params": [named.pop("project.weight")], "weight_decay": o.decay},
                {"params": [*named.values()], "weight_decay": 0.0},
            ],
            lr=o.rate,
        )

    def schedule(self, optimizer: Optimizer, step: int) -> None:
        """Let the rate fall along a cosine."""
        factor = cosine_fall(step, self.steps)
        for group in optimizer.param_groups:
            group["lr"] = self.options.rate * factor

    def loss(self, generator: torch.Generator) -> Tensor:
        """Draw queries with their supports, and pixels of both; return their cross-entropy."""
        drawn = self.draws.draw(self.options.batch, generator)
        self.net.backbone.to(next(self.model.parameters()).device)
        query = self._pixels([[task.query] for task in drawn], drawn, generator)
        support = self._pixels([task.support for task in drawn], drawn, generator)
        logits = self.model(query[0], support[0])
        return pair_loss(logits, query[1], support[1], self.options.pairs == "balanced")

    def _pixels(
        self, photos: list[list[int]], drawn: list[Drawn], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return a random share of the pixels (N, n, D) of each task's photos, and their labels."""
        maps = self.net.features(self.photos.features([x for row in photos for x in row]))
        size = (maps.shape[2], maps.shape[3])
        labels = torch.stack(
            [
                self._labels(photo, task.label, size)
                for row, task in zip(photos, drawn, strict=True)
                for photo in row
            ]
        )
        # the pixels of all shots of a task, one after the other
        tasks = len(photos)
        pixels = maps.flatten(2).mT.reshape(tasks, -1, maps.shape[1])
        flat = labels.reshape(tasks, -1).to(pixels.device)
        wanted = max(1, round(self.options.share * flat.shape[1]))
        chance = torch.rand(flat.shape, generator=generator).to(pixels.device)
        chosen = chance.topk(wanted, 1).indices
        return pixels.gather(1, chosen[..., None].expand(-1, -1, pixels.shape[2])), flat.gather(
            1, chosen
        )

    def _labels(self, photo: int, label: int, size: tuple[int, int]) -> Tensor:
        """Return what each cell shows, (h, w): 1 the object, 0 not, 255 not known."""
        shown, known = cells(self.photos.mask(photo, label), size)
        return torch.where(known, shown.long(), VOID)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the mIoU of the validation classes."""
        assert isinstance(model, DenseSimilarity)
        mine, self.net.similarity = self.net.similarity, model
        try:
            return {"miou": self.validation.miou(self._answer)}
        finally:
            self.net.similarity = mine

    def _answer(self, asked: Drawn) -> NDArray[np.bool_]:
        maps = self.net.features(self.photos.features([asked.query, *asked.support]))
        query, *support = ({FEATURES: found.half().cpu()} for found in maps)
        masks = [self.photos.mask(photo, asked.label) for photo in asked.support]
        answer = self._door.answer(query, [self._door.condition(support, masks)])
        soft = at_size(answer.masks, (self.options.size, self.options.size))[0]
        found: NDArray[np.bool_] = soft.numpy() >= CUT
        return found


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[DenseSiameseTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    options = read_options(DenseSiameseOptions, recipe)
    dataset, classes, held = segmentation_data(recipe, options, root, loop.seed)
    torch.manual_seed(loop.seed)
    backbone = build_backbone(options.backbone).load(options.weights)
    model = DenseSiamese(backbone, options.layers, options.width)
    task = DenseSiameseTask(model, dataset, classes, held, options, loop.steps, loop.seed)

    def finish() -> Trained:
        return Trained(
            method="dense-siamese",
            backbone=options.backbone,
            calibration=None,
            files=task.draws.files,
            network=task.model.cpu(),
            input={
                "kind": "photos",
                "size": options.size,
                "layers": list(model.layers),
                "backbone_sha256": backbone.digest,
            },
        )

    return task, finish
