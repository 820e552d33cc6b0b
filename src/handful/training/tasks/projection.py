"""A projection of a frozen backbone's maps, fitted in closed form on a folder of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from handful.backbones import NetworkEmbedder
from handful.backbones import build as build_backbone
from handful.backbones.photos import BATCH, preparation
from handful.backbones.projection import PooledMaps, Whitening, fit_whitening
from handful.data.class_folders import ClassFolders, read_class_folders
from handful.data.pictures import decode_ahead
from handful.data.progress import track
from handful.errors import InputError
from handful.metrics.retrieval import retrieve
from handful.similarity import cosine
from handful.training.loop import LoopConfig, Task
from handful.training.recipe import Finish, Recipe, Trained, held_out
from handful.training.recipe import options as read_options
from handful.training.tasks.photo_calibration import Supports, calibrate


class ProjectionOptions(BaseModel):
    """The options of a projection.

    Attributes
    ----------
    backbone : str
        A name of :func:`handful.backbones.build`.
    weights : str or None
        A weights file of the backbone.
    size : int
        Side to which photos are brought.
    maps : list of str
        The maps that are pooled.
    outputs : int
        Dimensions of the result, at most.
    shrink : list of float
        What is tried for the covariance; the best on the validation classes is kept.
    ways, shots : list of int
        The supports that the calibration serves; more ways than half the validation classes are
        left out.
    episodes : int
        Of each kind, for the calibration.
    """

    model_config = ConfigDict(extra="forbid")

    backbone: str = "handful-base"
    weights: str | None = None
    size: int = Field(224, ge=32)
    maps: list[str] = Field(min_length=1)
    outputs: int = Field(300, ge=1)
    shrink: list[float] = Field([0.02, 0.1, 0.3], min_length=1)
    ways: list[int] = [3, 5, 10]
    shots: list[int] = [1, 3]
    episodes: int = Field(400, ge=2)

    def supports(self, classes: int) -> Supports:
        """Return the supports to calibrate for that so many classes allow."""
        ways = [count for count in self.ways if 2 * count <= classes] or [max(1, classes // 2)]
        return Supports(tuple(ways), tuple(self.shots), self.episodes)


def build(recipe: Recipe, loop: LoopConfig | None, root: Path) -> tuple[Task | None, Finish]:
    """Return no task: the projection has a closed form."""
    options = read_options(ProjectionOptions, recipe)
    seed = recipe.get("seed", 0)
    folder = read_class_folders(root, min_classes=3)
    held = held_out(recipe, folder.classes, seed)
    backbone = build_backbone(options.backbone).load(options.weights)
    pooled = PooledMaps(backbone, options.maps)

    def finish() -> Trained:
        features, read = _pool(pooled, folder, options.size)
        labels = np.array(read.labels)
        own = ~np.isin(labels, held)
        blocks = [size for name in options.maps for size in [backbone.channels[name]] * 2]
        trained = features[torch.from_numpy(own)], _numbers(labels[own])
        rest = features[torch.from_numpy(~own)]
        fitted, vectors = _best(trained, rest, labels[~own], blocks, options)
        supports = options.supports(len(held))
        calibration = calibrate(cosine, vectors, labels[~own].tolist(), supports, seed)
        return Trained(
            method="prototypes",
            backbone=options.backbone,
            calibration=calibration,
            files=list(read.take(np.flatnonzero(own)).names),
            network=fitted,
            input={
                "kind": "photos",
                "size": options.size,
                "maps": options.maps,
                "outputs": fitted.matrix.shape[1],
                "backbone_sha256": backbone.digest,
            },
        )

    return None, finish


def _best(
    trained: tuple[Tensor, Tensor],
    held: Tensor,
    labels: NDArray[np.str_],
    blocks: list[int],
    options: ProjectionOptions,
) -> tuple[Whitening, Tensor]:
    """Return the fit with the best Recall@1 on the held-out classes, and their vectors."""
    recalls, fits = [], []
    for shrink in options.shrink:
        fitted = fit_whitening(*trained, blocks, shrink, options.outputs)
        vectors = fitted(held)
        recalls.append(retrieve((vectors @ vectors.T).numpy(), labels, (1,)).recall_at(1))
        fits.append((fitted, vectors))
    return fits[int(np.argmax(recalls))]


def _pool(pooled: PooledMaps, folder: ClassFolders, size: int) -> tuple[Tensor, ClassFolders]:
    """Return the pooled maps (N, D) of the photos that can be read, and these photos."""
    embedder = NetworkEmbedder(pooled, preparation(pooled.backbone, size), "pooled", batch=BATCH)
    pictures = track(folder.pictures, f"encoding with {pooled.backbone.name}", len(folder))
    features: list[Tensor] = []
    kept: list[int] = []
    for batch in decode_ahead(pictures, []):
        features.append(embedder.embed(batch.images))
        kept += batch.places
    if not kept:
        raise InputError(f"{folder.root}: none of its images can be read")
    return torch.cat(features), folder.take(kept)


def _numbers(labels: NDArray[np.str_]) -> Tensor:
    return torch.from_numpy(np.unique(labels, return_inverse=True)[1])
