"""Similarity attention: the closed form against autograd and against equation 1 written out."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from handful.backbones.cut import Cut, MeanHead, cut
from handful.backbones.drawing import DrawingNet
from handful.backbones.handful_base import HandfulBase
from handful.methods.similarity_attention import (
    IMAGES,
    Kind,
    attention,
    attention_by_autograd,
    direction,
    similarity_attention,
    weight_vector,
)

KINDS: tuple[Kind, ...] = ("same", "different", "triplet", "quadruplet")


@cache
def loaded() -> HandfulBase:
    return HandfulBase().load()


def base() -> nn.Module:
    return deepcopy(loaded())


def drawing() -> nn.Module:
    torch.manual_seed(0)
    network = DrawingNet(size=24, widths=(4, 8), depths=(1, 1), views=3).eval()
    nn.init.uniform_(network.norm.weight, 0.5, 2)
    nn.init.normal_(network.norm.bias)
    return network


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "handful-base": (base, (3, 64, 64)),
    "drawing-net": (drawing, (1, 24, 24)),
}


def tuples(kind: Kind, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.rand(IMAGES[kind], 2, *shape, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(("kind", "pooling"), [*((k, "mean") for k in KINDS), ("same", "local")])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("name", NETWORKS)
def test_closed_form_equals_autograd(
    name: str, dtype: torch.dtype, tolerance: float, kind: Kind, pooling: str
) -> None:
    make, shape = NETWORKS[name]
    network = make().to(dtype)
    found = cut(network)
    assert found.head is not None
    images = tuples(kind, shape, dtype)
    closed = similarity_attention(found, images, kind, pooling)  # type: ignore[arg-type]
    general = similarity_attention(Cut(found.both), images, kind, pooling)  # type: ignore[arg-type]
    assert closed.shape[:2] == (IMAGES[kind], 2)
    error = (closed - general).abs().max() / general.max()
    assert general.max() > 0
    assert error < tolerance


@pytest.mark.parametrize("kind", KINDS)
def test_equation_1_written_out(kind: Kind) -> None:
    network = base().double()
    images = tuples(kind, (3, 64, 64), torch.float64)
    found = similarity_attention(cut(network), images, kind)
    for t in range(2):
        maps, features = [], []
        for image in images[:, t]:
            a = network(image[None])["head"].requires_grad_()
            z = a.mean((2, 3)) @ network.network.projection.weight.T  # type: ignore[union-attr]
            maps.append(a)
            features.append(z[0] / z[0].norm())
        f = [feature.detach() for feature in features]
        w = {
            "same": lambda f=f: 1 - (f[0] - f[1]).abs(),
            "different": lambda f=f: (f[0] - f[1]).abs(),
            "triplet": lambda f=f: (1 - (f[0] - f[1]).abs()) * (f[0] - f[2]).abs(),
            "quadruplet": lambda f=f: (
                (1 - (f[0] - f[1]).abs()) * (f[0] - f[2]).abs() * (f[0] - f[3]).abs()
            ),
        }[kind]()
        for role, (a, feature) in enumerate(zip(maps, features, strict=True)):
            (gradient,) = torch.autograd.grad(w @ feature, a)
            expected = torch.zeros(a.shape[2:], dtype=torch.float64)
            for k in range(a.shape[1]):
                expected += gradient[0, k].mean() * a[0, k]
            expected = expected.clamp(min=0).detach()
            torch.testing.assert_close(found[role, t], expected, rtol=1e-10, atol=1e-16)


def test_without_a_bias_the_map_sums_to_zero_before_its_relu() -> None:
    network = cut(base().double())
    maps, vectors = network.both(tuples("triplet", (3, 96, 96), torch.float64).flatten(0, 1))
    weights = torch.rand(vectors.shape, dtype=torch.float64)
    assert network.head is not None
    gradient = network.head.adjoint(direction(vectors, weights), (3, 3))
    sums = (gradient * maps).sum((1, 2, 3)).abs()
    assert (sums < 1e-12 * (gradient * maps).abs().sum((1, 2, 3))).all()
    # and with the length held constant, to the score itself
    gradient = network.head.adjoint(direction(vectors, weights, centred=False), (3, 3))
    scores = (weights * normalize(vectors, dim=1)).sum(1)
    torch.testing.assert_close((gradient * maps).sum((1, 2, 3)), scores)


def test_a_head_with_a_bias() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(3, 6, 4, 5, generator=generator).double().requires_grad_()
    head = MeanHead(torch.randn(7, 6, generator=generator).double(), torch.ones(7).double())
    vectors, weights = head(maps), torch.rand(3, 7, generator=generator).double()
    expected = attention_by_autograd(maps, vectors, weights)
    torch.testing.assert_close(attention(maps, vectors, weights, head).detach(), expected)


def test_each_tuple_of_a_batch_is_explained_by_itself() -> None:
    network = cut(base())
    images = tuples("triplet", (3, 64, 64))
    together = similarity_attention(network, images, "triplet")
    for t in range(2):
        alone = similarity_attention(network, images[:, t : t + 1], "triplet")
        torch.testing.assert_close(together[:, t : t + 1], alone, rtol=1e-4, atol=1e-8)


def test_the_gradient_through_w_is_another_one() -> None:
    network = base().double()
    images = tuples("triplet", (3, 64, 64), torch.float64)
    found = similarity_attention(cut(network), images, "triplet", through_weights=True)
    parts = [network(image)["head"].detach().requires_grad_() for image in images]
    weight = network.network.projection.weight  # type: ignore[union-attr]
    f = [normalize(part.mean((2, 3)) @ weight.T, dim=1) for part in parts]
    w = (1 - (f[0] - f[1]).abs()) * (f[0] - f[2]).abs()
    for role, part in enumerate(parts):
        (gradient,) = torch.autograd.grad((w * f[role]).sum(), part, retain_graph=True)
        alpha = gradient.mean((2, 3), keepdim=True)
        expected = (alpha * part).sum(1).clamp(min=0).detach()
        torch.testing.assert_close(found[role], expected, rtol=1e-8, atol=1e-16)
    constant = similarity_attention(cut(network), images, "triplet")
    assert (found - constant).abs().max() > 0.1 * constant.max()


def test_any_layer_of_any_network_against_finite_differences() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(2, 5, 3), nn.Tanh(), nn.Conv2d(5, 4, 3, 2), nn.Sigmoid()),
        *(nn.Flatten(), nn.Linear(16, 6), nn.Tanh()),
    ).double()
    images = tuples("same", (2, 8, 8), torch.float64)
    found = similarity_attention(cut(network, "1"), images, "same")
    lower, upper = network[:2], network[2:]
    features = normalize(network(images.flatten(0, 1)), dim=1).view(2, 2, -1)
    w = 1 - (features[0] - features[1]).abs()
    for role in range(2):
        for t in range(2):
            (maps,) = lower(images[role, t, None]).detach()
            alpha = torch.zeros(5, dtype=torch.float64)
            for k in range(5):  # shifting a channel moves the score by the sum of its gradient
                shift = torch.zeros_like(maps)
                shift[k] = 1e-6
                ends = normalize(upper(torch.stack([maps + shift, maps - shift])), dim=1) @ w[t]
                alpha[k] = (ends[0] - ends[1]).detach() / 2e-6 / maps[0].numel()
            expected = torch.einsum("c,chw->hw", alpha, maps).clamp(min=0)
            torch.testing.assert_close(found[role, t], expected, rtol=1e-6, atol=1e-9)


def test_a_wrong_number_of_images_is_refused() -> None:
    with pytest.raises(ValueError, match="triplet takes 3 images, not 2"):
        weight_vector([torch.ones(2)] * 2, "triplet")
