"""The losses against loops over tuples in float64, and their rivals by name."""

from __future__ import annotations

from itertools import permutations
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from handful.errors import InputError
from handful.training.losses import LossName, contrastive, make_loss, quadruplet, triplet

INDEX = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])


@pytest.fixture(scope="module")
def features() -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return normalize(torch.randn(8, 5, dtype=torch.float64, generator=draw), dim=1)


def gaps(features: Tensor) -> np.ndarray:
    x = features.numpy()
    return np.linalg.norm(x[:, None] - x[None], axis=-1)


def positive_mean(values: list[float]) -> float:
    found = [value for value in values if value > 0]
    return float(np.mean(found)) if found else 0.0


def triplets(d: np.ndarray, margin: float) -> list[float]:
    y = INDEX.tolist()
    return [
        d[a, p] - d[a, n] + margin for a, p, n in permutations(range(8), 3) if y[a] == y[p] != y[n]
    ]


def test_contrastive(features: Tensor) -> None:
    d, y = gaps(features), INDEX.tolist()
    pairs = [(i, j) for i in range(8) for j in range(i)]
    same = [d[i, j] ** 2 for i, j in pairs if y[i] == y[j]]
    other = [max(0.0, 1.3 - d[i, j]) ** 2 for i, j in pairs if y[i] != y[j]]
    expected = np.mean(same) + np.mean(other)
    assert float(contrastive(features, INDEX, 1.3)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.9])
def test_triplet(features: Tensor, margin: float) -> None:
    expected = positive_mean(triplets(gaps(features), margin))
    assert float(triplet(features, INDEX, margin)) == pytest.approx(expected, rel=1e-6)


def test_quadruplet(features: Tensor) -> None:
    d, y = gaps(features), INDEX.tolist()
    second = [
        d[a, p] - d[n, m] + 0.1
        for a, p, n, m in permutations(range(8), 4)
        if y[a] == y[p] and len({y[a], y[n], y[m]}) == 3 and n < m
    ]
    expected = positive_mean(triplets(d, 0.2)) + positive_mean(second)
    assert float(quadruplet(features, INDEX)) == pytest.approx(expected, rel=1e-6)


def test_a_margin_is_that_of_the_loss(features: Tensor) -> None:
    own: tuple[LossName, ...] = ("contrastive", "triplet", "quadruplet")
    for name, loss in zip(own, (contrastive, triplet, quadruplet), strict=True):
        wide = make_loss(name, 5, 4, margin=1.3)[0]
        assert float(wide(features, INDEX)) == float(loss(features, INDEX, 1.3))
        assert float(wide(features, INDEX)) != float(loss(features, INDEX))
    with pytest.raises(InputError, match="n-pair takes no margin"):
        make_loss("n-pair", 5, 4, margin=1.3)


@pytest.mark.parametrize("name", get_args(LossName))
def test_a_step_lowers_every_loss(name: LossName) -> None:
    torch.manual_seed(0)
    loss, learned = make_loss(name, 5, 4)
    vectors = torch.randn(8, 5, requires_grad=True)
    parameters = [vectors, *(learned.parameters() if learned else [])]
    optimizer = torch.optim.Adam(parameters, lr=0.05)
    values = []
    for _ in range(40):
        optimizer.zero_grad()
        value = loss(normalize(vectors, dim=1), INDEX)
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.8 * values[0]
    assert all(bool(p.grad.isfinite().all()) for p in parameters if p.grad is not None)


def test_two_photos_in_one_place_have_finite_gradients() -> None:
    vectors = torch.ones(4, 3, requires_grad=True)
    index = torch.tensor([0, 0, 1, 1])
    (triplet(normalize(vectors, dim=1), index) + contrastive(vectors / 3**0.5, index)).backward()
    assert vectors.grad is not None
    assert bool(vectors.grad.isfinite().all())
