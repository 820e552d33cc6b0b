"""Metric learning on photos: contrastive, triplet, quadruplet, with or without similarity mining.

The trunk of the backbone is frozen and run once over every photo; what is trained sees its cached
output. Only mining runs the whole network: on the softly erased photos of a few tuples a step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.optim import AdamW, Optimizer

from handful.backbones import FeatureMaps
from handful.backbones import build as build_backbone
from handful.backbones.photos import BATCH, preparation
from handful.backbones.tail import Tail
from handful.data.class_folders import ClassFolders, classes_of_role, read_class_folders
from handful.data.pictures import decode_ahead
from handful.data.progress import track
from handful.errors import InputError
from handful.methods.similarity_attention import IMAGES, Kind
from handful.methods.similarity_mining import SimilarityMining
from handful.metrics.retrieval import retrieve
from handful.similarity import cosine
from handful.training.loop import LoopConfig
from handful.training.losses import LossName, make_loss
from handful.training.recipe import Finish, Recipe, Trained, held_out
from handful.training.recipe import options as read_options
from handful.training.tasks.photo_calibration import Supports, calibrate

KINDS: dict[str, Kind] = {"contrastive": "same", "quadruplet": "quadruplet"}
"""What is mined beside a loss; triplets for all others."""


class MetricLearningOptions(BaseModel):
    """The options of metric learning.

    Attributes
    ----------
    backbone : str
        ``handful-base`` or a ResNet of torchvision.
    weights : str or None
        A weights file of the backbone.
    size : int
        Side to which photos are brought.
    features : int or None
        Dimensions of the vector; None: the backbone's own.
    split : str or None
        A file that says which classes train and which validate, instead of ``validation``.
    loss : str
        See :func:`handful.training.losses.make_loss`.
    classes, photos : int
        Classes of a batch, and photos of each.
    rate, decay : float
        Peak rate, which falls along a cosine, and weight decay of AdamW.
    gamma : float
        Weight of similarity mining; 0: none.
    tuples : int
        Tuples mined in a step.
    slope, threshold : float
        Of mining's soft mask.
    """

    model_config = ConfigDict(extra="forbid")

    backbone: str = "handful-base"
    weights: str | None = None
    size: int = Field(160, ge=32)
    features: int | None = Field(None, ge=1)
    split: str | None = None
    loss: LossName = "triplet"
    classes: int = Field(8, ge=3)
    photos: int = Field(4, ge=2)
    rate: float = Field(1e-4, gt=0)
    decay: float = Field(1e-4, ge=0)
    gamma: float = Field(0.2, ge=0)
    tuples: int = Field(3, ge=1)
    slope: float = Field(10.0, gt=0)
    threshold: float = Field(0.5, gt=0, lt=1)


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos as a network sees them.

    Attributes
    ----------
    pixels : ndarray
        (N, 3, S, S) uint8, before normalisation.
    frozen : Tensor
        (N, 2, C, h, w) float16: the trunk's output for the photo and for its mirror image.
    index : Tensor
        (N,) the class of each.
    source : ClassFolders
        Their files and labels.
    """

    pixels: NDArray[np.uint8]
    frozen: Tensor
    index: Tensor
    source: ClassFolders

    def take(self, which: NDArray[np.bool_]) -> Photos:
        """Return some of them, their classes numbered anew."""
        rows = torch.from_numpy(np.flatnonzero(which))
        index = torch.unique(self.index[rows], return_inverse=True)[1]
        return Photos(self.pixels[which], self.frozen[rows], index, self.source.take(rows))


class _Trained(nn.Module):
    def __init__(self, tail: Tail, learned: nn.Module | None) -> None:
        super().__init__()
        self.tail = tail
        self.learned = learned


class MetricLearningTask:
    """Train the tail of a backbone on photos of some classes.

    Parameters
    ----------
    tail : Tail
        Trunk and tail of the backbone.
    training, validation : Photos
        Of different classes.
    normalise : tuple of Tensor
        Mean and standard deviation of the pixels, (3, 1, 1) each.
    options : MetricLearningOptions
        The recipe.
    steps, seed : int
        Length of the run, and what proxies are drawn from.
    """

    def __init__(
        self,
        tail: Tail,
        training: Photos,
        validation: Photos,
        normalise: tuple[Tensor, Tensor],
        options: MetricLearningOptions,
        steps: int,
        seed: int,
    ) -> None:
        torch.manual_seed(seed)
        ways = int(training.index.max()) + 1
        if ways < options.classes:
            raise InputError(f"a batch of {options.classes} classes: there are {ways} to train on")
        self.options, self.training, self.validation = options, training, validation
        self.normalise, self.steps, self.tail = normalise, steps, tail
        with torch.no_grad():
            width = tail(training.frozen[:1, 0].float())[1].shape[1]
        self._loss, learned = make_loss(options.loss, width, ways)
        self.model: nn.Module = _Trained(tail, learned)
        self.batch_size = options.classes * options.photos
        self.kind: Kind = KINDS.get(options.loss, "triplet")
        self.mining = SimilarityMining(options.slope, options.threshold)

    def optimizer(self) -> Optimizer:
        """Return AdamW; proxies learn a hundred times faster."""
        rate = self.options.rate
        groups = [{"params": list(self.tail.parameters()), "rate": rate}]
        model = self.model
        assert isinstance(model, _Trained)
        if model.learned is not None:
            groups.append({"params": list(model.learned.parameters()), "rate": 100 * rate})
        return AdamW(groups, lr=rate, weight_decay=self.options.decay)

    def schedule(self, optimizer: Optimizer, step: int) -> None:
        """Let the rates fall along a cosine, after a short rise."""
        part, warm = step / self.steps, 0.05
        fall = 0.5 * (1 + math.cos(math.pi * part)) * min(1.0, (part + 1 / self.steps) / warm)
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * fall

    def loss(self, generator: torch.Generator) -> Tensor:
        """Return the loss of a batch, and gamma times that of what is mined in it."""
        model, o = self.model, self.options
        assert isinstance(model, _Trained)
        rows, names = draw_batch(self.training.index, o.classes, o.photos, generator)
        mirrored = torch.randint(2, rows.shape, generator=generator)
        device = next(model.parameters()).device
        frozen = self.training.frozen[rows, mirrored].to(device).float()
        maps, vectors = model.tail(frozen)
        total = self._loss(normalize(vectors.float(), dim=1), names.to(device))
        if not o.gamma:
            return total
        chosen = draw_tuples(names, self.kind, o.tuples, generator)
        images = self._pixels(rows[chosen], mirrored[chosen]).to(device)
        flat = chosen.flatten().to(device)
        mined = self.mining(model.tail.cut(), images, maps[flat], vectors[flat], self.kind)
        return total + o.gamma * mined

    def _pixels(self, rows: Tensor, mirrored: Tensor) -> Tensor:
        """Return photos (R, N, 3, S, S), normalised."""
        found = torch.from_numpy(self.training.pixels[rows.numpy()]).float() / 255
        turned = torch.where(mirrored[..., None, None, None] > 0, found.flip(-1), found)
        mean, spread = self.normalise
        return (turned - mean) / spread

    @torch.no_grad()
    def vectors(self, tail: Tail, photos: Photos) -> Tensor:
        """Return the unit vectors (N, D) of photos, on the processor."""
        device = next(tail.parameters()).device
        parts = torch.split(photos.frozen[:, 0], 64)
        return torch.cat([_unit(tail(part.to(device).float())[1]).cpu() for part in parts])

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return Recall@1 of the validation classes among themselves."""
        assert isinstance(model, _Trained)
        # in NumPy: mixed precision would round the scores, and tie them
        found = self.vectors(model.tail.eval(), self.validation).numpy()
        return {
            "recall@1": retrieve(found @ found.T, self.validation.index.numpy(), (1,)).recall_at(1)
        }


def draw_batch(
    index: Tensor, classes: int, photos: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw a batch of some photos of each of some classes.

    Returns
    -------
    rows, names : Tensor
        (classes * photos,) places and classes. A class with too few photos repeats some.
    """
    ways = torch.randperm(int(index.max()) + 1, generator=generator)[:classes]
    rows = []
    for way in ways.tolist():
        members = torch.nonzero(index == way).flatten()
        order = torch.randperm(len(members), generator=generator)
        rows.append(members[order.repeat(-(-photos // len(members)))[:photos]])
    found = torch.cat(rows)
    return found, index[found]


def draw_tuples(names: Tensor, kind: Kind, count: int, generator: torch.Generator) -> Tensor:
    """Draw tuples from a batch: (images of the kind, count) places in it.

    The anchor and the positive are two photos of one class; every negative is of a class of its
    own.
    """
    drawn = []
    for _ in range(count):
        order = torch.randperm(len(names), generator=generator)
        anchor = int(order[0])
        taken, used = [anchor], {int(names[anchor])}
        taken.append(next(int(p) for p in order[1:] if names[p] == names[anchor]))
        for place in order[1:].tolist():
            if len(taken) == IMAGES[kind]:
                break
            if int(names[place]) not in used:
                taken.append(place)
                used.add(int(names[place]))
        drawn.append(taken)
    return torch.tensor(drawn).T


def _unit(vectors: Tensor) -> Tensor:
    return normalize(vectors.float(), dim=1)


def _look(tail: Tail, backbone: FeatureMaps, folder: ClassFolders, size: int) -> Photos:
    """Decode every photo once, and run the trunk over it and its mirror image."""
    prepare = preparation(backbone, size)
    mean, spread = _statistics(backbone.mean, backbone.std)
    pixels, frozen = [], []
    kept: list[int] = []
    pictures = track(folder.pictures, f"running the trunk of {backbone.name}", len(folder))
    for batch in decode_ahead(pictures, [], BATCH):
        x = torch.from_numpy(np.stack([prepare(image) for image in batch.images]))
        with torch.no_grad():
            both = torch.stack([tail.trunk(x), tail.trunk(x.flip(-1))], 1)
        frozen.append(both.half())
        pixels.append((((x * spread) + mean) * 255).round().to(torch.uint8).numpy())
        kept += batch.places
    if not kept:
        raise InputError(f"{folder.root}: none of its images can be read")
    source = folder.take(kept)
    index = torch.from_numpy(np.unique(np.array(source.labels), return_inverse=True)[1])
    return Photos(np.concatenate(pixels), torch.cat(frozen), index, source)


def _statistics(mean: Sequence[float], spread: Sequence[float]) -> tuple[Tensor, Tensor]:
    return torch.tensor(mean).view(3, 1, 1), torch.tensor(spread).view(3, 1, 1)


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[MetricLearningTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    options = read_options(MetricLearningOptions, recipe)
    folder, held = _classes(recipe, options, root, loop.seed)
    backbone = build_backbone(options.backbone).load(options.weights)
    tail = Tail(backbone, options.features)
    photos = _look(tail, backbone, folder, options.size)
    own = np.array([label not in held for label in photos.source.labels])
    training, validation = photos.take(own), photos.take(~own)
    normalise = _statistics(backbone.mean, backbone.std)
    task = MetricLearningTask(tail, training, validation, normalise, options, loop.steps, loop.seed)

    def finish() -> Trained:
        vectors = task.vectors(tail.eval().cpu(), validation)
        ways = tuple(count for count in (3, 5, 10) if 2 * count <= len(held)) or (2,)
        labels, supports = validation.source.labels, Supports(ways, (1, 3), 400)
        calibration = calibrate(cosine, vectors, labels, supports, loop.seed)
        return Trained(
            method="prototypes",
            backbone=options.backbone,
            calibration=calibration,
            files=list(training.source.names),
            network=tail,
            input={
                "kind": "photos",
                "size": options.size,
                "tail": vectors.shape[1],
                "backbone_sha256": backbone.digest,
            },
        )

    return task, finish


def _classes(
    recipe: Recipe, options: MetricLearningOptions, root: Path, seed: int
) -> tuple[ClassFolders, set[str]]:
    """Return the photos of the training and validation classes, and which validate."""
    if options.split is None:
        folder = read_class_folders(root, min_classes=4)
        return folder, set(held_out(recipe, folder.classes, seed))
    held = classes_of_role(options.split, "validation")
    own = classes_of_role(options.split, "train")
    return read_class_folders(root, [*own, *held], 4), set(held)
