"""PCB, the part-based baseline of re-identification, with or without similarity mining.

M. Zheng et al., "Visual similarity attention", IJCAI 2022, section 4.2, add mining (gamma = .2,
Adam) to the baseline of Y. Sun et al., see `handful.methods.pcb`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor

from handful.backbones import build as build_backbone
from handful.backbones.cut import Cut
from handful.backbones.tail import Tail
from handful.methods.pcb import PartHead, StripesHead, pcb_loss
from handful.training.frozen_photos import freeze
from handful.training.loop import LoopConfig
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


class PCBOptions(TuningOptions):
    """The options of PCB.

    Attributes
    ----------
    size : (int, int)
        Height and width to which photos are brought; the paper's are 384 and 128, of people.
    parts, width : int
        See :class:`handful.methods.pcb.PartHead`.
    fine : bool
        Without the network's last downsampling, as in the paper.
    new : float
        How many times as fast what is not from the backbone learns.
    """

    size: tuple[int, int] = (192, 192)
    parts: int = Field(6, ge=1)
    width: int = Field(256, ge=1)
    fine: bool = True
    new: float = Field(10.0, gt=0)


class PartLearner(Learner):
    """A tail whose stripes each tell the identity.

    Parameters
    ----------
    tail : Tail
        With the backbone's weights loaded.
    head : PartHead
        On its last map.
    new : float
        How many times as fast the head learns.
    """

    def __init__(self, tail: Tail, head: PartHead, new: float) -> None:
        super().__init__(tail, "triplet")
        self.head, self.new, self.stripes = head, new, StripesHead(head.parts)
        if tail.projection is not None:
            tail.projection.requires_grad_(False)  # parts are cut from the map

    def forward(self, frozen: Tensor) -> tuple[Tensor, Tensor]:
        """Map the trunk's output to the last map and the descriptors (N, D), of any length."""
        maps: Tensor = self.tail.layers(frozen)
        return maps, self.stripes(maps)

    def criterion(self, maps: Tensor, vectors: Tensor, index: Tensor) -> Tensor:
        """Return the sum of the parts' cross entropies."""
        return pcb_loss(self.head(maps), index)

    def cut(self) -> Cut:
        """Return the whole network, whose attention has a closed form."""
        return Cut(lambda x: self(self.tail.trunk(x)), self.stripes)

    def groups(self, rate: float) -> list[dict[str, object]]:
        """Return what learns: the tail, and faster the head."""
        tail = [p for p in self.tail.parameters() if p.requires_grad]
        head = list(self.head.parameters())
        return [{"params": tail, "rate": rate}, {"params": head, "rate": self.new * rate}]


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[TuningTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    options = read_options(PCBOptions, recipe)
    folder, held = tuning_classes(recipe, options, root, loop.seed)
    backbone = build_backbone(options.backbone).load(options.weights)
    tail = Tail(backbone, fine=options.fine)
    if options.last is not None:
        tail.train_last(options.last)
    training, validation = parted(freeze(tail, backbone, folder, options.size), held)
    torch.manual_seed(loop.seed)  # the head is drawn
    head = PartHead(tail.channels, training.ways, options.parts, options.width)
    learner = PartLearner(tail, head, options.new)
    task = TuningTask(learner, training, validation, options, loop.steps)
    known: dict[str, object] = {
        "size": list(options.size),
        "parts": options.parts,
        "fine": options.fine,
    }
    return task, finisher(task, backbone, lambda tail: tail.layers, known, loop.seed)
