"""Similarity mining: its losses by hand, its gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from handful.backbones.cut import Cut, MeanHead
from handful.methods import similarity_attention
from handful.methods.similarity_attention import IMAGES, Kind
from handful.methods.similarity_mining import (
    SimilarityMining,
    mining_loss,
    objective,
    soft_mask,
)

MINED: tuple[Kind, ...] = ("same", "triplet", "quadruplet")


def test_the_soft_mask_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    images, maps = rng.normal(size=(2, 3, 6, 6)), rng.random((2, 3, 3))
    found = soft_mask(torch.from_numpy(images), torch.from_numpy(maps), slope=7.0, threshold=0.4)
    resized = interpolate(torch.from_numpy(maps)[:, None], (6, 6), mode="bilinear")[:, 0].numpy()
    scaled = resized / resized.max((1, 2), keepdims=True)
    expected = images * (1 - 1 / (1 + np.exp(-7.0 * (scaled - 0.4))))[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_maps_count_by_their_shape_not_their_size() -> None:
    images = torch.rand(1, 2, 4, 4)
    maps = torch.rand(1, 2, 2)
    torch.testing.assert_close(soft_mask(images, maps), soft_mask(images, 1e-6 * maps))


def test_a_map_of_zeros_masks_nothing_and_gives_finite_gradients() -> None:
    images = torch.rand(2, 2, 4, 4)
    maps = torch.stack([torch.zeros(2, 2), torch.rand(2, 2)]).requires_grad_()
    masked = soft_mask(images, maps)
    torch.testing.assert_close(masked[0], images[0])
    assert not torch.equal(masked[1], images[1])
    (gradient,) = torch.autograd.grad(masked.sum(), maps)
    assert gradient.isfinite().all()


def test_the_three_losses_by_hand() -> None:
    rng = np.random.default_rng(1)
    a, p, n, m = rng.normal(size=(4, 5, 8))

    def far(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt(((x - y) ** 2).sum(1)))

    expected = {
        "same": -far(a, p).mean(),
        "triplet": (far(a, p) - far(a, n)).mean(),
        "quadruplet": (far(a, p) - far(a, n) + far(a, p) - far(a, m)).mean(),
    }
    for kind in MINED:
        features = [torch.from_numpy(x) for x in (a, p, n, m)[: IMAGES[kind]]]
        assert float(mining_loss(features, kind)) == pytest.approx(expected[kind], rel=1e-12)
        # a pair is to fail either way
        turned = expected[kind] if kind == "same" else -expected[kind]
        assert float(mining_loss(features, kind, failing=True)) == pytest.approx(turned, rel=1e-12)
    whole = objective(torch.tensor(2.0), torch.tensor(-0.5))
    assert float(whole) == pytest.approx(2 + 0.2 * -0.5)


def test_pairs_of_different_classes_are_not_mined() -> None:
    with pytest.raises(ValueError, match="mine a positive pair"):
        mining_loss([torch.ones(1, 2)] * 2, "different")


def network() -> tuple[nn.Module, Cut, Cut]:
    """Return a small smooth network, cut with its head in closed form, and without."""
    torch.manual_seed(0)
    convolution, linear = nn.Conv2d(2, 4, 3, 2, 1), nn.Linear(4, 3, bias=False)
    parts = nn.ModuleList([convolution, linear]).double()

    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        maps = torch.nn.functional.softplus(convolution(x))
        return maps, linear(torch.mean(maps, dim=(2, 3)))

    return parts, Cut(both, MeanHead(linear.weight)), Cut(both)


@pytest.mark.parametrize("way", ["closed", "autograd", "through-weights"])
@pytest.mark.parametrize("kind", MINED)
def test_gradients_of_second_order_against_finite_differences(
    kind: Kind, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, with_head, general = network()
    found = with_head if way == "closed" else general
    mining = SimilarityMining(slope=4.0, through_weights=way == "through-weights")
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(IMAGES[kind], 3, 2, 8, 8, generator=generator, dtype=torch.float64)

    def loss() -> Tensor:
        maps, vectors = found.both(images.flatten(0, 1))
        f = list(normalize(vectors, dim=1).view(IMAGES[kind], 3, -1))
        metric = (f[0] - f[1]).square().sum()
        return objective(metric, mining(found, images, maps, vectors, kind), gamma=2.0)

    if way != "through-weights":
        # w is a constant there: the differences must not see it move either
        with torch.no_grad():
            f = normalize(found.both(images.flatten(0, 1))[1], dim=1).view(IMAGES[kind], 3, -1)
            w = similarity_attention.weight_vector(list(f), kind)
        monkeypatch.setattr(similarity_attention, "weight_vector", lambda features, kind: w)
    gradients = torch.autograd.grad(loss(), list(parts.parameters()))
    plain = torch.autograd.grad(
        loss_without_attention(found, images, kind), [next(parts.parameters())]
    )
    assert not torch.allclose(gradients[0], plain[0], rtol=1e-2)
    for parameter, gradient in zip(parts.parameters(), gradients, strict=True):
        for index in list(np.ndindex(*parameter.shape))[::5]:
            start = float(parameter.detach()[index])
            ends = []
            for step in (1e-6, -1e-6):
                with torch.no_grad():
                    parameter[index] = start + step
                ends.append(float(loss().detach()))
            with torch.no_grad():
                parameter[index] = start
            slope = (ends[0] - ends[1]) / 2e-6
            assert float(gradient[index]) == pytest.approx(slope, rel=1e-5, abs=1e-7)


def loss_without_attention(found: Cut, images: Tensor, kind: Kind) -> Tensor:
    """Return the loss as it would be if the mask were not differentiated."""
    _, vectors = found.both(images.flatten(0, 1))
    f = list(normalize(vectors, dim=1).view(IMAGES[kind], 3, -1))
    with torch.enable_grad():
        attended = similarity_attention.similarity_attention(found, images, kind)
    masked = soft_mask(images.flatten(0, 1), attended.detach().flatten(0, 1), slope=4.0)
    again = normalize(found.both(masked)[1], dim=1).view(IMAGES[kind], 3, -1)
    return objective((f[0] - f[1]).square().sum(), mining_loss(list(again), kind), gamma=2.0)
