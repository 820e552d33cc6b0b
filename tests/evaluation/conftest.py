"""A small Omniglot whose characters are noisy patterns, and a matcher that finds most of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from torch import Tensor

from handful.data.omniglot import OmniglotSet, read_omniglot
from handful.methods import Calibration, Image

SIZES = {"Abra": 5, "Bebra": 8, "Cebra": 6}


class Dots:
    """Compare a coarse grey map; one query at a time, or many where `batched`."""

    name = "dots"
    backbone = "none"

    def __init__(
        self, batched: bool = False, pooled: bool = False, calibration: Calibration | None = None
    ) -> None:
        self.batched, self.pooled, self.calibration = batched, pooled, calibration
        self.encoded = 0

    def encode(self, images: Sequence[Image]) -> Tensor:
        self.encoded += len(images)
        pages = torch.from_numpy(np.stack(images)).float()[:, None] / 255
        return torch.nn.functional.avg_pool2d(pages, 21).flatten(1)

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        if not self.batched:
            assert query.ndim == support.ndim == 2
        return -torch.cdist(query, support, compute_mode="donot_use_mm_for_euclid_dist")

    def pool(self, support: Tensor) -> Tensor | None:
        return support.mean(-2) if self.pooled else None


@pytest.fixture(scope="session")
def dots() -> type[Dots]:
    return Dots


@pytest.fixture(scope="session")
def omniglot_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("omniglot-py")
    rng = np.random.default_rng(0)
    for alphabet, characters in SIZES.items():
        for character in range(1, characters + 1):
            folder = root / f"images_evaluation/{alphabet}/character{character:02d}"
            folder.mkdir(parents=True)
            pattern = rng.normal(size=(5, 5))
            for drawer in range(1, 7):
                level = pattern + 0.9 * rng.normal(size=(5, 5))
                page = np.kron(1 / (1 + np.exp(-level)), np.ones((21, 21)))
                ink = rng.random((105, 105)) < page
                Pictures.fromarray(~ink).save(folder / f"{character:04d}_{drawer:02d}.png")
    return root


@pytest.fixture(scope="session")
def omniglot(omniglot_root: Path) -> OmniglotSet:
    return read_omniglot(omniglot_root)
