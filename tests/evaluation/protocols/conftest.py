"""A folder of classes whose photos are noisy flat colours, and a matcher that sees their mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from torch import Tensor

from handful.methods import Image
from handful.similarity import cosine

COUNTS = {"ant": 12, "bee": 9, "cat": 6, "dog": 12, "eel": 20, "lone": 1}


class MeanColour:
    """Compare mean colours; with `pooled`, shots are merged by their mean."""

    name = "mean-colour"
    backbone = "none"
    batched = True

    def __init__(self, pooled: bool = True) -> None:
        self.pooled, self.encoded = pooled, 0

    def encode(self, images: Sequence[Image]) -> Tensor:
        self.encoded += len(images)
        means = np.stack([image.reshape(-1, 3).mean(0) for image in images]) - 128
        return torch.nn.functional.normalize(torch.from_numpy(means).float(), dim=-1)

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return cosine(query, support)

    def pool(self, support: Tensor) -> Tensor | None:
        return support.mean(-2) if self.pooled else None


@pytest.fixture(scope="session")
def mean_colour() -> type[MeanColour]:
    return MeanColour


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six classes, one of them a single photo, and a file that is no photo."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, count in COUNTS.items():
        (root / name).mkdir()
        colour = rng.normal(size=3)
        for i in range(count):
            level = 128 + 60 * (colour + 0.7 * rng.normal(size=3)) + rng.normal(size=(8, 8, 3))
            Pictures.fromarray(level.clip(0, 255).astype(np.uint8)).save(root / f"{name}/{i}.png")
    (root / "cat/broken.png").write_bytes(b"no photo")
    return root
