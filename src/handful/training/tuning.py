"""Tuning the last layers of a backbone on photos of classes, with or without similarity mining.

The trunk of the backbone is frozen and run once over every photo; what is trained sees its cached
output. Only mining runs the whole network: on the softly erased photos of a few tuples a step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.optim import AdamW, Optimizer

from handful.backbones import FeatureMaps
from handful.backbones.cut import Cut
from handful.backbones.tail import Tail
from handful.data.class_folders import ClassFolders, classes_of_role, read_class_folders
from handful.errors import InputError
from handful.methods.similarity_attention import Kind
from handful.methods.similarity_mining import SimilarityMining
from handful.metrics.retrieval import retrieve
from handful.similarity import cosine
from handful.training.frozen_photos import FrozenPhotos, draw_batch, draw_tuples
from handful.training.recipe import Finish, Recipe, Trained, held_out
from handful.training.tasks.photo_calibration import Supports, calibrate


class TuningOptions(BaseModel):
    """The options that every tuning of a backbone's last layers has.

    Attributes
    ----------
    backbone : str
        ``handful-base`` or a ResNet of torchvision.
    weights : str or None
        A weights file of the backbone.
    split : str or None
        A file that says which classes train and which validate, instead of ``validation``.
    last : int or None
        How many of the last parts learn, see `Tail.train_last`; None: the whole tail.
    classes, photos : int
        Classes of a batch, and photos of each.
    rate, decay : float
        Peak rate, which falls along a cosine, and weight decay of AdamW.
    share : float
        What is validated and kept lies so far on the way from the untouched weights to the trained
        ones (M. Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, equation 1).
    gamma : float
        Weight of similarity mining; 0: none.
    tuples : int
        Tuples mined in a step.
    slope, threshold : float
        Of mining's soft mask.
    failing : bool
        Whether erased triplets are to fail, see `handful.methods.similarity_mining.mining_loss`.
    """

    model_config = ConfigDict(extra="forbid")

    backbone: str = "handful-base"
    weights: str | None = None
    split: str | None = None
    last: int | None = Field(None, ge=1)
    classes: int = Field(8, ge=3)
    photos: int = Field(4, ge=2)
    rate: float = Field(1e-4, gt=0)
    decay: float = Field(1e-4, ge=0)
    share: float = Field(1.0, gt=0, le=1)
    gamma: float = Field(0.2, ge=0)
    tuples: int = Field(3, ge=1)
    slope: float = Field(10.0, gt=0)
    threshold: float = Field(0.5, gt=0, lt=1)
    failing: bool = False


class Learner(nn.Module):
    """What is trained: a tail, and what a method adds to it.

    Parameters
    ----------
    tail : Tail
        The last layers of a backbone.
    kind : {"same", "triplet", "quadruplet"}
        The tuples that are mined.
    """

    def __init__(self, tail: Tail, kind: Kind) -> None:
        super().__init__()
        self.tail, self.kind = tail, kind

    def forward(self, frozen: Tensor) -> tuple[Tensor, Tensor]:
        """Map the trunk's output to the last map and the vectors (N, D), of any length."""
        raise NotImplementedError

    def criterion(self, maps: Tensor, vectors: Tensor, index: Tensor) -> Tensor:
        """Return the loss of a batch, of classes `index` (N,), without mining."""
        raise NotImplementedError

    def cut(self) -> Cut:
        """Return the whole network, cut at its last map, with the head in between."""
        raise NotImplementedError

    def groups(self, rate: float) -> list[dict[str, object]]:
        """Return what learns, with the peak rate of each."""
        return [{"params": [p for p in self.parameters() if p.requires_grad], "rate": rate}]


class TuningTask:
    """Train a `Learner` on photos of some classes.

    Parameters
    ----------
    model : Learner
        With the backbone's weights loaded.
    training, validation : FrozenPhotos
        Of different classes.
    options : TuningOptions
        The recipe.
    steps : int
        Length of the run.
    """

    model: nn.Module

    def __init__(
        self,
        model: Learner,
        training: FrozenPhotos,
        validation: FrozenPhotos,
        options: TuningOptions,
        steps: int,
    ) -> None:
        if training.ways < options.classes:
            raise InputError(
                f"a batch of {options.classes} classes: there are {training.ways} to train on"
            )
        self.model, self.learner = model, model
        self.training, self.validation = training, validation
        self.options, self.steps = options, steps
        self.batch_size = options.classes * options.photos
        self._start = {name: value.clone() for name, value in model.tail.state_dict().items()}
        self.mining = SimilarityMining(options.slope, options.threshold, failing=options.failing)

    def optimizer(self) -> Optimizer:
        """Return AdamW over what learns."""
        o = self.options
        return AdamW(self.learner.groups(o.rate), lr=o.rate, weight_decay=o.decay)

    def schedule(self, optimizer: Optimizer, step: int) -> None:
        """Let the rates fall along a cosine, after a short rise."""
        part, warm = step / self.steps, 0.05
        fall = 0.5 * (1 + math.cos(math.pi * part)) * min(1.0, (part + 1 / self.steps) / warm)
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * fall

    def loss(self, generator: torch.Generator) -> Tensor:
        """Return the loss of a batch, and gamma times that of what is mined in it."""
        learner, o = self.learner, self.options
        rows, names = draw_batch(self.training.index, o.classes, o.photos, generator)
        mirrored = torch.randint(2, rows.shape, generator=generator)
        device = next(learner.parameters()).device
        maps, vectors = learner(self.training.frozen[rows, mirrored].to(device).float())
        total = learner.criterion(maps, vectors, names.to(device))
        if not o.gamma:
            return total
        chosen = draw_tuples(names, learner.kind, o.tuples, generator)
        images = self.training.images(rows[chosen], mirrored[chosen]).to(device)
        flat = chosen.flatten().to(device)
        mined = self.mining(learner.cut(), images, maps[flat], vectors[flat], learner.kind)
        return total + o.gamma * mined

    @torch.no_grad()
    def vectors(self, model: nn.Module, photos: FrozenPhotos) -> Tensor:
        """Return the unit vectors (N, D) of photos, on the processor."""
        model.eval()
        device = next(model.parameters()).device
        parts = torch.split(photos.frozen[:, 0], 64)
        return torch.cat(
            [normalize(model(part.to(device).float())[1].float(), dim=1).cpu() for part in parts]
        )

    def kept(self, model: nn.Module, share: float | None = None) -> Learner:
        """Return a copy of a trained model, moved back towards the untouched weights.

        Parameters
        ----------
        model : Learner
            The trained one.
        share : float, optional
            How far it stays from them, 0 to 1; by default the recipe's.
        """
        kept = copy.deepcopy(model)
        assert isinstance(kept, Learner)
        share = self.options.share if share is None else share
        for name, value in kept.tail.state_dict().items():
            if value.is_floating_point():
                start = self._start[name].to(value.device)
                value.copy_(torch.lerp(start, value, share))
        return kept

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return Recall@1 and mAP@R of the validation classes among themselves."""
        # in NumPy: mixed precision would round the scores, and tie them
        found = self.vectors(self.kept(model), self.validation).numpy()
        measured = retrieve(found @ found.T, self.validation.index.numpy(), (1,))
        return {"recall@1": measured.recall_at(1), "map@r": measured.map_at_r}


def tuning_classes(
    recipe: Recipe, options: TuningOptions, root: Path, seed: int
) -> tuple[ClassFolders, set[str]]:
    """Return the photos of the training and validation classes, and which validate."""
    if options.split is None:
        folder = read_class_folders(root, min_classes=4)
        return folder, set(held_out(recipe, folder.classes, seed))
    held = classes_of_role(options.split, "validation")
    own = classes_of_role(options.split, "train")
    return read_class_folders(root, [*own, *held], 4), set(held)


def parted(photos: FrozenPhotos, held: set[str]) -> tuple[FrozenPhotos, FrozenPhotos]:
    """Part photos in those to train on and those of the held-out classes."""
    validates = np.isin(photos.source.labels, sorted(held))
    return photos.take(np.flatnonzero(~validates)), photos.take(np.flatnonzero(validates))


def finisher(
    task: TuningTask,
    backbone: FeatureMaps,
    part: Callable[[Tail], nn.Module],
    known: dict[str, object],
    seed: int,
) -> Finish:
    """Return what turns a trained task into an entry of the zoo.

    Parameters
    ----------
    task : TuningTask
        After its training.
    backbone : FeatureMaps
        What it stands on.
    part : callable
        Returns what of the tail is kept.
    known : dict
        What preparing a photo and building the network again need to know.
    seed : int
        Of the calibration's episodes.
    """

    def finish() -> Trained:
        learner = task.kept(task.learner).cpu()
        vectors = task.vectors(learner, task.validation)
        held = task.validation.ways
        ways = tuple(count for count in (3, 5, 10) if 2 * count <= held) or (2,)
        labels, supports = task.validation.source.labels, Supports(ways, (1, 3), 400)
        return Trained(
            method="prototypes",
            backbone=task.options.backbone,
            calibration=calibrate(cosine, vectors, labels, supports, seed),
            files=list(task.training.source.names),
            network=part(learner.tail),
            input={"kind": "photos", "backbone_sha256": backbone.digest} | known,
        )

    return finish
