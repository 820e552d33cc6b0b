"""Calibrate a model for photos on classes that it never learned: read its cosines as scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import normalize

from handful import methods, zoo
from handful.data.class_folders import read_class_folders
from handful.data.sampling import sample_fewshot
from handful.methods.calibration import Calibration, fit_calibration, shots_factor
from handful.methods.encoding import encode_folder
from handful.training.loop import LoopConfig, Task
from handful.training.recipe import Finish, Recipe, Trained, named
from handful.training.recipe import options as read_options
from handful.training.validation import Compare


class PhotoCalibrationOptions(BaseModel):
    """The options of a calibration on photos.

    Attributes
    ----------
    model : str
        A name of the zoo.
    size : int or None
        Side to which photos are brought; None: the model's own.
    ways, shots : list of int
        The supports that thresholds have to serve; every pair of them is drawn.
    episodes : int
        Episodes of each kind; half of their queries are of classes outside the support.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    size: int | None = Field(None, ge=32)
    ways: list[int] = Field([3, 5, 10], min_length=1)
    shots: list[int] = Field([1, 3, 5], min_length=1)
    episodes: int = Field(400, ge=2)


@dataclass(frozen=True)
class Supports:
    """The supports that thresholds have to serve: every pair of ways and shots.

    Attributes
    ----------
    ways, shots : tuple of int
        Classes in a support, and examples of each.
    episodes : int
        How many of each kind are drawn; half of the queries are of classes outside the support.
    """

    ways: tuple[int, ...]
    shots: tuple[int, ...]
    episodes: int


def calibrate(
    compare: Compare, features: Tensor, labels: Sequence[str], supports: Supports, seed: int
) -> Calibration:
    """Fit the calibration of a comparison by cosines on labelled features.

    The cosine to a prototype grows with its shots; see `handful.methods.calibration.shots_factor`
    for how one threshold serves all.

    Parameters
    ----------
    compare : callable
        Scores (Q, S) of features (Q, D) against (S, D).
    features : Tensor
        Unit vectors (N, D).
    labels : sequence of str
        The class of each.
    supports : Supports
        What is drawn.
    seed : int
        What it is drawn from.
    """
    likeness = _likeness(compare, features, labels)
    same, different, known, truth, unknown = [], [], [], [], []
    most = max(supports.ways)
    for ways, shots in product(supports.ways, supports.shots):
        drawn = sample_fewshot(labels, 2 * ways, shots, 1, supports.episodes, seed)
        factor = shots_factor(likeness, shots)
        own = torch.eye(ways, dtype=torch.bool)
        for support, query in zip(drawn.support[:, :ways], drawn.query, strict=True):
            prototypes = normalize(features[torch.from_numpy(support)].mean(1), dim=1)
            scores = compare(features[torch.from_numpy(query)], prototypes) * factor
            same.append(scores[:ways][own])
            different.append(scores[:ways][~own])
            # columns up to the most ways: rivals that are not there
            padded = torch.full((2 * ways, most), -torch.inf)
            padded[:, :ways] = scores
            known.append(padded[:ways])
            unknown.append(padded[ways:])
            truth.append(torch.arange(ways))
    parts = [torch.cat(x) for x in (same, different, known, truth, unknown)]
    return fit_calibration(parts[0], parts[1], parts[2], parts[3], parts[4], likeness=likeness)


def _likeness(compare: Compare, features: Tensor, labels: Sequence[str]) -> float:
    """Return the mean over the classes of the mean score of two images of one class."""
    number = np.unique(labels, return_inverse=True)[1]
    means = []
    for own in (features[number == way] for way in range(number.max() + 1)):
        i, j = torch.triu_indices(len(own), len(own), 1)
        if len(i):
            means.append(compare(own, own)[i, j].mean())
    return float(torch.stack(means).mean())


def build(recipe: Recipe, loop: LoopConfig | None, root: Path) -> tuple[Task | None, Finish]:
    """Return no task: only the calibration is fitted, on the validation classes."""
    options = read_options(PhotoCalibrationOptions, recipe)
    matcher = methods.load(options.model, size=options.size)
    folder = read_class_folders(root, named(recipe), 2 * max(options.ways))

    supports = Supports(tuple(options.ways), tuple(options.shots), options.episodes)

    def finish() -> Trained:
        found = encode_folder(matcher, folder)
        calibration = calibrate(
            matcher.compare, found.features, found.folder.labels, supports, recipe.get("seed", 0)
        )
        return Trained(
            method=zoo.card(options.model).method,
            backbone=matcher.backbone,
            calibration=calibration,
            files=list(found.folder.names),
            input=zoo.card(options.model).input,
        )

    return None, finish
