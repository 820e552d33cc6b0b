"""What the training of every few-shot segmentation method shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from handful import zoo
from handful.backbones import FeatureMaps
from handful.data.segmentation.photos import SegmentationSet
from handful.errors import InputError
from handful.training.recipe import Finish, Trained
from handful.training.segmentation_photos import (
    Drawn,
    Draws,
    Photos,
    Run,
    SegmentationOptions,
    Validation,
)


class SegmentationTask(ABC):
    """Train what stands on a backbone by episodes, and validate it on classes never trained on.

    Parameters
    ----------
    model : nn.Module
        What learns: it is what is saved and averaged, and the backbone is not in it.
    backbone : FeatureMaps
        With its weights loaded.
    run : callable
        Normalised pixels (N, 3, size, size) to the maps that are kept of each photo.
    dataset : SegmentationSet
        Photos to train and validate on.
    classes, validation : tuple of str
        Training classes, and validation classes.
    options : SegmentationOptions
        The recipe.
    steps, seed : int
        Length of the run, and what the photos of each class are drawn from.
    memory : float, optional
        Gigabytes of maps that are kept; by default the recipe's.
    """

    def __init__(
        self,
        model: nn.Module,
        backbone: FeatureMaps,
        run: Run,
        dataset: SegmentationSet,
        classes: tuple[str, ...],
        validation: tuple[str, ...],
        options: SegmentationOptions,
        steps: int,
        seed: int,
        memory: float | None = None,
    ) -> None:
        self.model, self.steps, self.start = model, steps, options.start
        if options.start is not None:
            begin_with(model, options.start)
        kept = options.memory if memory is None else memory
        self.draws = Draws(dataset, classes, validation, options, seed)
        self.photos = Photos(self.draws.dataset, backbone, run, options.size, kept)
        self.validation = Validation(self.photos, validation, options)
        self.batch_size = options.batch

    @abstractmethod
    def optimizer(self) -> Optimizer:
        """Return the optimizer; a group with a ``factor`` learns at that share of the rate."""

    @abstractmethod
    def loss(self, generator: torch.Generator) -> Tensor:
        """Draw queries with their supports; return their loss."""

    @abstractmethod
    def answer(self, asked: Drawn) -> NDArray[np.bool_]:
        """Return the mask (size, size) of an episode."""

    @abstractmethod
    def put(self, model: nn.Module) -> nn.Module:
        """Let another module, of the form of `model`, answer; return the one that did."""

    def fall(self, step: int) -> float:
        """Return the factor of the rate at a step: it falls along a cosine."""
        return cosine_fall(step, self.steps)

    def schedule(self, optimizer: Optimizer, step: int) -> None:
        """Set the rate of every group."""
        for group in optimizer.param_groups:
            group["lr"] = optimizer.defaults["lr"] * group.get("factor", 1.0) * self.fall(step)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the mIoU of the validation classes."""
        with self._answering(model):
            return {"miou": self.validation.miou(self.answer)}

    @contextmanager
    def _answering(self, model: nn.Module) -> Iterator[None]:
        learning = model.training
        mine = self.put(model.eval())
        try:
            yield
        finally:
            self.put(mine)
            model.train(learning)

    def finish(self, method: str, backbone: str, **known: object) -> Finish:
        """Return what turns the trained weights into an entry of the zoo.

        Parameters
        ----------
        method : str
            What answers with them.
        backbone : str
            The name of that whose maps they take.
        **known
            What the method is built from besides.
        """

        def trained() -> Trained:
            return Trained(
                method=method,
                backbone=backbone,
                calibration=None,
                files=self.draws.files,
                start=self.start,
                network=self.model.cpu(),
                input={
                    "kind": "photos",
                    "size": self.photos.size,
                    **known,
                    "backbone_sha256": self.photos.backbone.digest,
                },
            )

        return trained


def begin_with(model: nn.Module, start: str) -> None:
    """Take over what a trained model learned; what it lacks stays as it is.

    Raises
    ------
    InputError
        It is another network, or has no card that says what it learned from.
    """
    zoo.card(start)
    tensors, mine = zoo.load_weights(start), model.state_dict()
    wrong = [n for n, value in tensors.items() if n not in mine or value.shape != mine[n].shape]
    if wrong:
        raise InputError(
            f"options.start {start}: {len(wrong)} of its tensors are of another network, such as"
            f" {wrong[0]}; give a model of the same task, backbone and widths"
        )
    model.load_state_dict(tensors, strict=False)


def cosine_fall(step: int, steps: int) -> float:
    """Return the factor of a rate that falls from 1 to 0 along a cosine.

    Examples
    --------
    >>> [round(cosine_fall(step, 4), 2) for step in range(5)]
    [1.0, 0.85, 0.5, 0.15, 0.0]
    """
    return 0.5 * (1 + float(np.cos(np.pi * step / steps)))
