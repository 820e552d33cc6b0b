"""Synthetic clusters: unit vectors around a few directions, with the cluster of each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Clusters = tuple[NDArray[np.float64], NDArray[np.int64]]


def make(count: int, clusters: int, dimensions: int, noise: float, seed: int) -> Clusters:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(clusters, dimensions))
    number = np.arange(count) % clusters
    rows = centres[number] + noise * rng.normal(size=(count, dimensions))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), number


@pytest.fixture(scope="session")
def make_clusters() -> Callable[..., Clusters]:
    return make


@pytest.fixture(scope="session")
def clusters() -> Clusters:
    """200 rows of 5 clusters in 16 dimensions."""
    return make(200, 5, 16, 0.4, 0)
