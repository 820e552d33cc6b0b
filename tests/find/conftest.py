"""A folder of small pictures, and a model that is fast and whose answers are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from handful.methods.prototypes import Prototypes

Draw = Callable[..., Path]


class Means:
    """An embedder: the mean colours of the four quarters, less the middle grey."""

    name = "means"

    def embed(self, images: Sequence[np.ndarray]) -> Tensor:
        return torch.stack([torch.from_numpy(self.one(image)) for image in images])

    @staticmethod
    def one(image: np.ndarray) -> np.ndarray:
        quarters = image.reshape(2, image.shape[0] // 2, 2, image.shape[1] // 2, 3).mean((1, 3))
        return np.asarray(quarters.reshape(-1) - 127.25, np.float32)


@pytest.fixture
def means() -> Prototypes:
    return Prototypes(Means(), "means")


@pytest.fixture
def draw() -> Draw:
    """Give a function that draws a picture of its own for every seed."""

    def one(path: Path, seed: int, noise: float = 0) -> Path:
        rng = np.random.default_rng(seed)
        quarters = rng.integers(0, 256, (2, 2, 3)).astype(float)
        quarters += noise * np.random.default_rng(list(path.name.encode())).normal(size=(2, 2, 3))
        pixels = quarters.clip(0, 255).astype(np.uint8).repeat(4, 0).repeat(4, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return one
