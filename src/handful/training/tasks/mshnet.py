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
    mirror,
    segmentation_data,
)


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


class MSHNetTask:
    """Train the prototypes' weights and the head; the backbone stays as it is.

    Parameters
    ----------
    model : MSHNet
        With its backbone's weights loaded.
    dataset : SegmentationSet
        Photos to train and validate on.
    classes : sequence of str
        Training classes.
    validation : sequence of str
        Validation classes, never trained on.
    options : MSHNetOptions
        The recipe.
    steps, seed : int
        Length of the run, and what the photos of each class are drawn from.
    """

    def __init__(
        self,
        model: MSHNet,
        dataset: SegmentationSet,
        classes: tuple[str, ...],
        validation: tuple[str, ...],
        options: MSHNetOptions,
        steps: int,
        seed: int,
    ) -> None:
        self.net, self.options, self.steps = model, options, steps
        # what is saved and averaged is what learns: the backbone is not in it
        self.model: nn.Module = nn.ModuleDict({"prototype": model.prototype, "head": model.head})
        self.photos = Photos(dataset, model.backbone, model.features, options.size, options.memory)
        self.draws = Draws(dataset, classes, validation, options, seed)
        self.validation = Validation(self.photos, validation, options)
        self.batch_size = options.batch

    def optimizer(self) -> Optimizer:
        """Return SGD with momentum."""
        o = self.options
        return SGD(self.model.parameters(), lr=o.rate, momentum=0.9, weight_decay=o.decay)

    def schedule(self, optimizer: Optimizer, step: int) -> None:
        """Multiply the rate by .9 every epoch, or let it fall along a cosine."""
        o = self.options
        factor = 0.9 ** (step // o.epoch) if o.epoch else cosine_fall(step, self.steps)
        for group in optimizer.param_groups:
            group["lr"] = o.rate * factor

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

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the mIoU of the validation classes."""
        assert isinstance(model, nn.ModuleDict)
        mine = self.net.prototype, self.net.head
        self.net.prototype, self.net.head = model["prototype"], model["head"]  # type: ignore[assignment]
        self.net.eval()
        try:
            return {"miou": self.validation.miou(self._answer)}
        finally:
            self.net.prototype, self.net.head = mine
            self.net.train()

    def _answer(self, asked: Drawn) -> NDArray[np.bool_]:
        size = (self.options.size, self.options.size)
        maps = self.photos.features([asked.query])
        found: NDArray[np.bool_] = (
            self.net(maps, self._state(asked), size).masks[0].float().cpu().numpy() >= 0.5
        )
        return found

    def _state(self, task: Drawn) -> SupportState:
        masks = np.stack([self.photos.mask(image, task.label) == 1 for image in task.support])
        return self.net.support_state(self.photos.features(task.support), torch.from_numpy(masks))


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[MSHNetTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    options = read_options(MSHNetOptions, recipe)
    dataset, classes, held = segmentation_data(recipe, options, root, loop.seed)
    torch.manual_seed(loop.seed)
    widths = LIGHT if options.widths == "light" else PAPER
    model = MSHNet(options.backbone, options.similarity, widths)
    model.backbone.load(options.weights)
    task = MSHNetTask(model, dataset, classes, held, options, loop.steps, loop.seed)

    def finish() -> Trained:
        return Trained(
            method="mshnet",
            backbone=options.backbone,
            calibration=None,
            files=task.draws.files,
            network=task.model.cpu(),
            input={
                "kind": "photos",
                "size": options.size,
                "similarity": options.similarity,
                "widths": options.widths,
                "backbone_sha256": model.backbone.digest,
            },
        )

    return task, finish
