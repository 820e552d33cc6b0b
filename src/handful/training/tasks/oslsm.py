"""OSLSM, trained by episodes: on frozen features, or everything as published."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from handful import zoo
from handful.backbones import Kept
from handful.data.segmentation.photos import SegmentationSet
from handful.methods.oslsm import OSLSM, Learns, PixelClassifiers, View, begin_aligned, loss
from handful.training.loop import LoopConfig
from handful.training.recipe import Finish, Recipe
from handful.training.recipe import options as read_options
from handful.training.segmentation_photos import (
    Drawn,
    SegmentationOptions,
    segmentation_data,
)
from handful.training.segmentation_task import SegmentationTask

BIASES = 2.0
"""By what the rate of biases is multiplied."""

SAMPLE = 32
"""Photos that an aligned beginning takes the means of."""


class OSLSMOptions(SegmentationOptions):
    """The options of OSLSM's training.

    Attributes
    ----------
    layers : list of str
        Maps of the backbone that the segmentation branch reads.
    outputs, width, kernel : int
        See :class:`handful.methods.oslsm.OSLSM`.
    train : {"heads", "all"}
        What follows the frozen backbone, whose features are kept; or everything.
    begin : {"random", "aligned"}
        At random, or as a classifier by likeness, see `begin_aligned`: for ResNets on ``stride32``.
    view : {"photo", "object"}
        What the conditioning branch sees of a support.
    support_size : int
        The side of the square it sees, in pixels.
    rate : float
        Of the segmentation branch; that of biases is twice as high.
    conditioning : float
        By what the conditioning branch's rate is multiplied.
    momentum, decay : float
        Of SGD; biases do not decay.
    constant : bool
        The rate stays, as published; otherwise it falls along a cosine.
    summed : bool
        The loss is the sum over all pixels, as published; otherwise their mean.
    positive : float
        How many times a pixel of the object counts in it.
    accumulate : int
        Batches whose gradients are added up for one step.
    """

    balanced: bool = True
    layers: list[str] = Field(["stride32"], min_length=1)
    outputs: int = Field(1000, ge=1)
    width: int = Field(4096, ge=1)
    kernel: int = Field(1, ge=1)
    train: Learns = "heads"
    begin: Literal["random", "aligned"] = "random"
    view: View = "photo"
    support_size: int = Field(224, ge=32)
    rate: float = Field(1e-2, gt=0)
    conditioning: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    decay: float = Field(5e-4, ge=0)
    constant: bool = False
    summed: bool = False
    positive: float = Field(1.0, gt=0)
    accumulate: int = Field(1, ge=1)


class OSLSMTask(SegmentationTask):
    """Train both branches together.

    Parameters
    ----------
    net : OSLSM
        With its backbone's weights loaded.
    dataset, classes, validation, options, steps, seed
        See :class:`~handful.training.segmentation_task.SegmentationTask`.
    """

    def __init__(
        self,
        net: OSLSM,
        dataset: SegmentationSet,
        classes: tuple[str, ...],
        validation: tuple[str, ...],
        options: OSLSMOptions,
        steps: int,
        seed: int,
    ) -> None:
        # what learns gives other features at every step: nothing can be kept
        memory = 0.0 if options.train == "all" else options.memory
        learner, data = net.learner(), (dataset, classes, validation)
        super().__init__(learner, net.backbone, net.features, *data, options, steps, seed, memory)
        self.net, self.options = net, options
        self._embeddings = Kept(memory)
        self.batch_size = options.batch * options.accumulate

    def align(self, seed: int) -> None:
        """Begin both branches aligned, see `begin_aligned`; with photos of the training."""
        drawn = self.draws.draw(SAMPLE, torch.Generator().manual_seed(seed))
        embeddings = [self.embedding(task.query, task.label) for task in drawn]
        maps = self._maps([task.query for task in drawn])
        begin_aligned(self.net, torch.cat(embeddings), maps, seed)

    def optimizer(self) -> Optimizer:
        """Return SGD with the rates' multipliers of each branch."""
        o, net = self.options, self.net
        branches = [(net.dense, 1.0), (net.conditioning, o.conditioning)]
        if o.train == "all":
            branches += [(net.backbones[0], 1.0), (net.backbones[1], o.conditioning)]
        groups = []
        for branch, factor in branches:
            named = dict(branch.named_parameters())
            biases = [value for name, value in named.items() if name.endswith("bias")]
            weights = [value for name, value in named.items() if not name.endswith("bias")]
            groups.append({"params": weights, "factor": factor, "weight_decay": o.decay})
            groups.append({"params": biases, "factor": factor * BIASES, "weight_decay": 0.0})
        return SGD(groups, lr=o.rate, momentum=o.momentum)

    def fall(self, step: int) -> float:
        """Return 1 for a rate that stays, or what falls along a cosine."""
        return 1.0 if self.options.constant else super().fall(step)

    def loss(self, generator: torch.Generator) -> Tensor:
        """Draw queries with their supports; return the loss, of all batches of the step.

        Of several batches all but the last are brought back here; the loop does the last one's.
        """
        o = self.options
        share = 1.0 if o.summed else 1 / o.accumulate
        before = 0.0
        for _ in range(o.accumulate - 1):
            part = self._loss(generator) * share
            torch.autograd.backward(part)
            before += float(part.detach())
        return self._loss(generator) * share + before

    def _loss(self, generator: torch.Generator) -> Tensor:
        drawn = self.draws.draw(self.options.batch, generator)
        self.net.to(next(self.model.parameters()).device)
        masks = [self.photos.mask(task.query, task.label) for task in drawn]
        logits, o = self._logits(drawn), self.options
        target = torch.from_numpy(np.stack(masks)).to(logits.device)
        return loss(logits, target, o.summed, o.positive)

    def put(self, model: nn.Module) -> nn.Module:
        """Let other branches answer; return those that did."""
        assert isinstance(model, nn.ModuleDict)
        mine = self.net.learner()
        self.net.use(model)
        return mine

    @torch.no_grad()
    def answer(self, asked: Drawn) -> NDArray[np.bool_]:
        """Return the mask (size, size) of an episode."""
        found: NDArray[np.bool_] = (self._logits([asked])[0].float().cpu() >= 0).numpy()
        return found

    def _logits(self, drawn: list[Drawn]) -> Tensor:
        """Return the logits of every query by its own support, (N, size, size)."""
        embeddings = torch.cat([self.embedding(p, t.label) for t in drawn for p in t.support])
        found = self.net.conditioning(embeddings)
        shots = [len(task.support) for task in drawn]
        states = [
            PixelClassifiers(weight, bias)
            for weight, bias in zip(found.weight.split(shots), found.bias.split(shots), strict=True)
        ]
        size = (self.options.size, self.options.size)
        logits: Tensor = self.net(self._maps([task.query for task in drawn]), states, size)
        return logits

    def _maps(self, queries: list[int]) -> dict[str, Tensor]:
        if self.options.train == "all":
            return self.net.features(torch.cat([self.photos.normalised(x) for x in queries]))
        return {name: value.float() for name, value in self.photos.features(queries).items()}

    def embedding(self, photo: int, label: int) -> Tensor:
        """Return the embedding (1, features) of a masked support."""
        if self.options.train == "all":
            return self._embed(photo, label)
        with torch.autocast(self.photos.device.type, enabled=False):
            kept = self._embeddings.get(
                (photo, label), lambda: {"embedding": self._embed(photo, label)}
            )
        return kept["embedding"].to(self.photos.device).float()

    def _embed(self, photo: int, label: int) -> Tensor:
        pixels = self.photos.normalised(photo)[0]
        mask = torch.from_numpy(self.photos.mask(photo, label) == 1).to(pixels.device)
        return self.net.embed(self.net.view(pixels, mask)[None])


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[OSLSMTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    o = read_options(OSLSMOptions, recipe)
    data = segmentation_data(recipe, o, root, loop.seed)
    torch.manual_seed(loop.seed)
    sizes = o.outputs, o.width, o.kernel
    net = OSLSM(o.backbone, o.layers, *sizes, o.train, o.view, o.support_size, loop.seed)
    net.load_backbone(o.weights)
    begun = dict(net.backbone.network.state_dict())
    # the backbone has no use for a classifier's last layer
    begun |= zoo.load_weights(o.weights) if o.weights is not None else {}
    net.start_from_classifier(begun)
    task = OSLSMTask(net, *data, o, loop.steps, loop.seed)
    if o.begin == "aligned":
        task.align(loop.seed)
    return task, task.finish("oslsm", o.backbone, view=o.view, support_size=o.support_size)
