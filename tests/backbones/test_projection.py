"""The projection: what its definition says of covariances, and what it is good for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from handful.backbones import build
from handful.backbones.projection import PooledMaps, fit_whitening
from handful.errors import InputError


def individuals(classes: int, each: int, seed: int) -> tuple[Tensor, Tensor]:
    """Vectors of 12 dimensions: what tells classes apart is small, what moves within is large."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(classes, 1, 12)) * np.r_[np.full(6, 1.0), np.full(6, 0.1)]
    noise = rng.normal(size=(classes, each, 12)) * np.r_[np.full(6, 0.1), np.full(6, 6.0)]
    index = torch.arange(classes).repeat_interleave(each)
    return torch.from_numpy((own + noise).reshape(-1, 12) + 5).float(), index


def recall(vectors: Tensor, index: Tensor) -> float:
    scores = vectors @ vectors.T
    scores.fill_diagonal_(-9)
    return float((index[scores.argmax(1)] == index).float().mean())


def test_pooled_maps_are_means_and_deviations() -> None:
    torch.manual_seed(0)
    backbone = build("random:handful-base")
    pixels = torch.randn(2, 3, 64, 96)
    found = PooledMaps(backbone, ["stride16", "stride8"])(pixels)
    maps = {name: value.double().numpy() for name, value in backbone(pixels).items()}
    parts = [
        getattr(maps[name].reshape(2, -1, maps[name][0, 0].size), kind)(2)
        for name in ("stride16", "stride8")
        for kind in ("mean", "std")
    ]
    np.testing.assert_allclose(found, np.concatenate(parts, 1), rtol=1e-4, atol=1e-6)


def test_an_unknown_map_is_named() -> None:
    with pytest.raises(InputError, match="no map 'stride4'"):
        PooledMaps(build("random:handful-base"), ["stride4"])


def test_the_covariance_within_classes_becomes_the_identity() -> None:
    features, index = individuals(40, 10, seed=0)
    fitted = fit_whitening(features, index, [5, 7], shrink=1e-9, outputs=12)
    x = ((features - fitted.mean) @ fitted.matrix).double().numpy().reshape(40, 10, -1)
    within = (x - x.mean(1, keepdims=True)).reshape(400, -1)
    covariance = within.T @ within / 400
    level = np.trace(covariance) / len(covariance)
    np.testing.assert_allclose(covariance, level * np.eye(len(covariance)), atol=1e-3 * level)


def test_the_scale_of_a_block_does_not_matter() -> None:
    features, index = individuals(20, 8, seed=1)
    scaled = features * torch.cat([torch.full((5,), 300.0), torch.ones(7)])
    vectors = [
        fit_whitening(x, index, [5, 7], 0.1, 12)(x) for x in (features, scaled)
    ]  # fmt: skip
    torch.testing.assert_close(*vectors, atol=1e-3, rtol=1e-3)


def test_other_individuals_are_told_apart() -> None:
    fitted = fit_whitening(*individuals(40, 10, seed=2), [12], 0.1, 12)
    features, index = individuals(20, 5, seed=3)
    centred = features - features.mean(0)
    before = recall(centred / centred.norm(dim=1, keepdim=True), index)
    vectors = fitted(features)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(100))
    assert recall(vectors, index) > before + 0.3
