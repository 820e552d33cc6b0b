"""Calibrate a method that learns nothing else: read its scores as probabilities."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from handful import methods, zoo
from handful.training.characters import load_background
from handful.training.loop import LoopConfig, Task
from handful.training.recipe import Finish, Recipe, Trained, named
from handful.training.recipe import options as read_options
from handful.training.validation import Runs


class CalibrationOptions(BaseModel):
    """The options of a calibration recipe.

    Attributes
    ----------
    method : str
        A name of the zoo.
    trials : int
        One-shot trials on the validation alphabets.
    """

    model_config = ConfigDict(extra="forbid")

    method: str
    trials: int = 2000


def build(recipe: Recipe, loop: LoopConfig | None, root: Path) -> tuple[Task | None, Finish]:
    """Return no task: only the calibration is fitted, on the validation alphabets."""
    options = read_options(CalibrationOptions, recipe)
    matcher = methods.load(options.method)
    data = load_background(root, 105, named(recipe))

    def encode(ink: Tensor) -> Tensor:
        paper = 255 - (255 * ink[:, 0]).round().to(torch.uint8)
        return matcher.encode(list(paper.numpy()))

    def finish() -> Trained:
        runs = Runs.draw(data.validation, options.trials, 20, seed=1)
        features = runs.encode(data.validation, encode)
        return Trained(
            method=zoo.card(options.method).method,
            backbone=matcher.backbone,
            calibration=runs.calibration(features, matcher.compare),
            files=data.validation_files,
        )

    return None, finish
