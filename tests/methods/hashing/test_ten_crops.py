from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from handful.methods.hashing.ten_crops import TenCrops, ten_crops
from handful.methods.matcher import Image


class FirstAndLast:
    name, backbone = "first-and-last", "none"

    def encode(self, images: Sequence[Image]) -> Tensor:
        return torch.tensor([[float(i[0, 0, 0]), float(i[-1, -1, 0])] for i in images])

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return query @ support.mT

    def pool(self, support: Tensor) -> Tensor | None:
        return None


def test_crops_are_the_corners_the_middle_and_their_mirrors() -> None:
    image = np.arange(16 * 32, dtype=np.uint16).reshape(16, 32, 1).repeat(3, 2)
    crops = ten_crops(image)  # type: ignore[arg-type]
    first = [int(crop[0, 0, 0]) for crop in crops[:5]]
    assert first == [0, 4, 64, 68, 34]
    for crop, mirror in zip(crops[:5], crops[5:], strict=True):
        np.testing.assert_array_equal(mirror, crop[:, ::-1])


def test_features_are_means_of_unit_vectors() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(1, 255, (16, 24, 3), np.uint8) for _ in range(3)]
    matcher = TenCrops(FirstAndLast())
    found = matcher.encode(images).numpy()
    for image, row in zip(images, found, strict=True):
        crops = np.array([[c[0, 0, 0], c[-1, -1, 0]] for c in ten_crops(image)], float)
        mean = (crops / np.linalg.norm(crops, axis=1, keepdims=True)).mean(0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-6)
    assert matcher.name == "first-and-last, ten crops"
    assert matcher.pool(torch.ones(2, 2)) is None
    assert matcher.compare(torch.eye(2), torch.eye(2)).tolist() == [[1, 0], [0, 1]]
