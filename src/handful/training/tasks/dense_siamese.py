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
from handful.training.recipe import Finish, Recipe
from handful.training.recipe import options as read_options
from handful.training.segmentation_photos import (
    Drawn,
    SegmentationOptions,
    segmentation_data,
)
from handful.training.segmentation_task import SegmentationTask


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


class DenseSiameseTask(SegmentationTask):
    """Train the features and the similarity together.

    Parameters
    ----------
    net : DenseSiamese
        With its backbone's weights loaded.
    dataset, classes, validation, options, steps, seed
        See :class:`~handful.training.segmentation_task.SegmentationTask`.
    """

    def __init__(
        self,
        net: DenseSiamese,
        dataset: SegmentationSet,
        classes: tuple[str, ...],
        validation: tuple[str, ...],
        options: DenseSiameseOptions,
        steps: int,
        seed: int,
    ) -> None:
        data = dataset, classes, validation
        super().__init__(net.similarity, net.backbone, net.maps, *data, options, steps, seed)
        self.net, self.options = net, options
        self._door = DenseSiameseSegmentation(net, "in training")

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

    def put(self, model: nn.Module) -> nn.Module:
        """Let another similarity answer; return the one that did."""
        assert isinstance(model, DenseSimilarity)
        mine, self.net.similarity = self.net.similarity, model
        return mine

    def answer(self, asked: Drawn) -> NDArray[np.bool_]:
        """Return the mask (size, size) of an episode."""
        maps = self.net.features(self.photos.features([asked.query, *asked.support]))
        query, *support = ({FEATURES: found.half().cpu()} for found in maps)
        masks = [self.photos.mask(photo, asked.label) for photo in asked.support]
        answer = self._door.answer(query, [self._door.condition(support, masks)])
        soft = at_size(answer.masks, (self.options.size, self.options.size))[0]
        found: NDArray[np.bool_] = soft.numpy() >= CUT
        return found


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[DenseSiameseTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    o = read_options(DenseSiameseOptions, recipe)
    data = segmentation_data(recipe, o, root, loop.seed)
    torch.manual_seed(loop.seed)
    net = DenseSiamese(build_backbone(o.backbone).load(o.weights), o.layers, o.width)
    task = DenseSiameseTask(net, *data, o, loop.steps, loop.seed)
    return task, task.finish("dense-siamese", o.backbone, layers=list(net.layers))
