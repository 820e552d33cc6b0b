"""Cut networks: the same vector as the network itself, and heads that are its exact gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from handful.backbones.cut import Cut, MeanHead, PositionsHead, cut
from handful.backbones.drawing import DrawingNet
from handful.backbones.features import Embedding, FeatureMaps
from handful.backbones.handful_base import HandfulBase
from handful.backbones.koch import KochTower
from handful.backbones.registry import build
from handful.errors import InputError


def drawing_net() -> DrawingNet:
    torch.manual_seed(0)
    network = DrawingNet(size=24, widths=(4, 8), depths=(1, 1), views=3).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            nn.init.normal_(part.weight, 1, 0.3)
    return network


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], type | None]] = {
    "handful-base": (lambda: HandfulBase().load(), (3, 64, 64), MeanHead),
    "drawing-net": (drawing_net, (1, 24, 24), PositionsHead),
    "resnet18": (lambda: build("resnet18"), (3, 64, 64), MeanHead),
    "timm:mobilenetv2_100": (lambda: build("timm:mobilenetv2_100"), (3, 64, 64), MeanHead),
    "mobilenet_v3_small": (lambda: build("mobilenet_v3_small"), (3, 64, 64), None),
    "koch": (KochTower, (1, 105, 105), None),
}


def pixels(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_one_pass_gives_the_map_and_the_networks_own_vector(name: str) -> None:
    make, shape, kind = NETWORKS[name]
    torch.manual_seed(3)
    network = make()
    found = cut(network)
    assert found.head is None if kind is None else isinstance(found.head, kind)
    x = pixels(shape).requires_grad_()
    maps, vectors = found.both(x)
    own = network.embed(x) if isinstance(network, FeatureMaps) else network(x)
    torch.testing.assert_close(vectors, own)
    (gradient,) = torch.autograd.grad(vectors.sum(), maps)
    assert gradient.shape == maps.shape
    assert gradient.any()


@pytest.mark.parametrize("name", [name for name, value in NETWORKS.items() if value[2]])
def test_heads_are_the_rest_of_the_network_and_its_gradient(name: str) -> None:
    make, shape, _ = NETWORKS[name]
    found = cut(make())
    assert found.head is not None
    maps, vectors = found.both(pixels(shape).requires_grad_())
    torch.testing.assert_close(found.head(maps), vectors, rtol=1e-4, atol=1e-5)
    gradient = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(2))
    (expected,) = torch.autograd.grad(vectors, maps, gradient)
    size = (maps.shape[2], maps.shape[3])
    adjoint = found.head.adjoint(gradient, size).expand_as(maps)
    torch.testing.assert_close(adjoint, expected, rtol=1e-4, atol=1e-6)


def test_a_head_follows_its_network_in_training() -> None:
    network = drawing_net()
    found = cut(network)
    nn.init.constant_(network.norm.weight, 2.0)
    maps, vectors = found.both(pixels((1, 24, 24)).requires_grad_())
    (expected,) = torch.autograd.grad(vectors.sum(), maps)
    assert found.head is not None
    adjoint = found.head.adjoint(torch.ones_like(vectors), (maps.shape[2], maps.shape[3]))
    torch.testing.assert_close(adjoint, expected)
    assert cut(network.train()).head is None


def test_other_maps_have_no_head() -> None:
    network = HandfulBase()
    for found in (cut(network, "stride16"), cut(Embedding(network), "stride16")):
        maps, vectors = found.both(pixels((3, 64, 64)))
        assert (maps.shape[1:], vectors.shape[1], found.head) == ((96, 4, 4), 512, None)


def test_any_module_of_any_network_by_its_path() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 5)
    )
    found: Cut = cut(network, "0")
    x = pixels((3, 8, 8))
    maps, vectors = found.both(x)
    torch.testing.assert_close(vectors, network(x))
    torch.testing.assert_close(maps, network[0](x))
    assert not network[0]._forward_hooks
    assert cut(HandfulBase(), "network.blocks.3").both(pixels((3, 64, 64)))[0].shape[1] == 32


def test_probing_leaves_a_network_in_training_as_it_was() -> None:
    network = build("resnet18", frozen=False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert cut(network).head is not None
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(part.training for part in network.network.modules() if part is not network.network)


@pytest.mark.parametrize(
    ("network", "layer", "message"),
    [
        (nn.Linear(2, 2), None, "name the layer"),
        (KochTower(), "convolutions.9", "no layer 'convolutions.9'"),
        (KochTower(), "dense", "dense gives no map"),
    ],
)
def test_what_cannot_be_cut_is_said(network: nn.Module, layer: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cut(network, layer).both(pixels((1, 105, 105)))
