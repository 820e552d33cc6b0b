"""MSHNet, trained by episodes on frozen features (section 5.1 of its paper)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from handful.data.segmentation.photos import SegmentationSet
from handful.methods.mshnet import LIGHT, PAPER, MSHNet, Similarity, SupportState, loss
from handful.methods.segmenter import CUT
from handful.training.loop import LoopConfig
from handful.training.recipe import Finish, Recipe
from handful.training.recipe import options as read_options
from handful.training.segmentation_photos import (
    Drawn,
    SegmentationOptions,
    mirror,
    segmentation_data,
)
from handful.training.segmentation_task import SegmentationTask


class MSHNetOptions(SegmentationOptions):
    """The options of MSHNet's training; its backbone is one of `handful.backbones.pyramid`.

    Attributes
    ----------
    similarity : {"both", "cosine", "prototype"}
        Table 4.
    widths : {"paper", "light"}
        The head.
    rate, decay : float
        Of SGD with a momentum of .9.
    epoch : int
        Steps after which the rate is multiplied by .9; 0: it falls along a cosine instead.
    flip : bool
        Mirror half of the queries.
    """

    similarity: Similarity = "both"
    widths: Literal["paper", "light"] = "paper"
    rate: float = Field(1e-2, gt=0)
    decay: float = Field(5e-4, ge=0)
    epoch: int = Field(0, ge=0)
    flip: bool = False


class MSHNetTask(SegmentationTask):
    """Train the prototypes' weights and the head.

    Parameters
    ----------
    net : MSHNet
        With its backbone's weights loaded.
    dataset, classes, validation, options, steps, seed
        See :class:`~handful.training.segmentation_task.SegmentationTask`.
    """

    def __init__(
        self,
        net: MSHNet,
        dataset: SegmentationSet,
        classes: tuple[str, ...],
        validation: tuple[str, ...],
        options: MSHNetOptions,
        steps: int,
        seed: int,
    ) -> None:
        learner = nn.ModuleDict({"prototype": net.prototype, "head": net.head})
        data = dataset, classes, validation
        super().__init__(learner, net.backbone, net.features, *data, options, steps, seed)
        self.net, self.options = net, options

    def optimizer(self) -> Optimizer:
        """Return SGD with momentum."""
        o = self.options
        return SGD(self.model.parameters(), lr=o.rate, momentum=0.9, weight_decay=o.decay)

    def fall(self, step: int) -> float:
        """Return .9 to the power of the epoch, or what falls along a cosine."""
        epoch = self.options.epoch
        return 0.9 ** (step // epoch) if epoch else super().fall(step)

    def loss(self, generator: torch.Generator) -> Tensor:
        """Draw queries with their supports; return equation 1."""
        drawn = self.draws.draw(self.options.batch, generator)
        device = next(self.model.parameters()).device
        self.net.backbone.to(device)
        states = [self._state(task) for task in drawn]
        maps = self.photos.features([task.query for task in drawn])
        masks = [self.photos.mask(task.query, task.label) for task in drawn]
        target = torch.from_numpy(np.stack(masks)).long().to(device)
        if self.options.flip:
            mirrored = torch.rand(len(drawn), generator=generator) < 0.5
            maps = {name: mirror(found, mirrored) for name, found in maps.items()}
            target = mirror(target, mirrored)
        size = (self.options.size, self.options.size)
        return loss(self.net(maps, states, size), target)

    def put(self, model: nn.Module) -> nn.Module:
        """Let other prototypes' weights and another head answer; return those that did."""
        mine = nn.ModuleDict({"prototype": self.net.prototype, "head": self.net.head})
        for name, part in model.named_children():
            setattr(self.net, name, part)
        self.net.train(model.training)
        return mine

    def answer(self, asked: Drawn) -> NDArray[np.bool_]:
        """Return the mask (size, size) of an episode."""
        size = (self.options.size, self.options.size)
        maps = self.photos.features([asked.query])
        soft = self.net(maps, self._state(asked), size).masks[0].float().cpu().numpy()
        found: NDArray[np.bool_] = soft >= CUT
        return found

    def _state(self, task: Drawn) -> SupportState:
        masks = np.stack([self.photos.mask(image, task.label) == 1 for image in task.support])
        return self.net.support_state(self.photos.features(task.support), torch.from_numpy(masks))


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[MSHNetTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    o = read_options(MSHNetOptions, recipe)
    data = segmentation_data(recipe, o, root, loop.seed)
    torch.manual_seed(loop.seed)
    net = MSHNet(o.backbone, o.similarity, LIGHT if o.widths == "light" else PAPER)
    net.backbone.load(o.weights)
    task = MSHNetTask(net, *data, o, loop.steps, loop.seed)
    return task, task.finish("mshnet", o.backbone, similarity=o.similarity, widths=o.widths)
