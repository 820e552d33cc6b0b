"""Koch's tower: the sides and the initial weights of the paper, and a float64 twin."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from handful.backbones.koch import Init, KochTower, unit_variance_

LAYERS = [(1, 64, 10), (64, 128, 7), (128, 128, 4), (128, 256, 4)]


@pytest.fixture(scope="module")
def tower() -> KochTower:
    torch.manual_seed(0)
    return KochTower("slides")


def strokes(count: int) -> Tensor:
    """Blots of ink: a coarse random page made larger, mostly paper."""
    generator = torch.Generator().manual_seed(count)
    coarse = (torch.rand(count, 1, 15, 15, generator=generator) < 0.3).float()
    return nn.functional.interpolate(coarse, size=(105, 105), mode="bilinear")


def test_sides_are_those_of_the_paper(tower: KochTower) -> None:
    sides: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda _, x, y: sides.extend((x[0].shape[-1], y.shape[-1])))
        for layer in tower.convolutions
    ]
    with torch.no_grad():
        features = tower(torch.zeros(1, 1, 105, 105))
    for hook in hooks:
        hook.remove()
    assert sides == [105, 96, 48, 42, 21, 18, 9, 6]
    assert features.shape == (1, 4096)


def test_features_equal_a_plain_stack_in_float64(tower: KochTower) -> None:
    stack: list[nn.Module] = []
    for layer in tower.convolutions:
        stack += [layer, nn.ReLU(), nn.MaxPool2d(2)]
    plain = nn.Sequential(*stack[:-1], nn.Flatten(), tower.dense, nn.Sigmoid())
    ink = strokes(1)
    with torch.no_grad():
        found = tower(ink)
        expected = _in_double(plain, ink)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-5)


def _in_double(network: nn.Sequential, x: Tensor) -> Tensor:
    """Run a network in float64 without turning it (and its 150 MB) into float64."""
    x = x.double()
    for layer in network:
        own = {name: value.double() for name, value in layer.named_parameters()}
        x = torch.func.functional_call(layer, own, (x,))
    return x


@pytest.mark.parametrize(
    ("init", "dense"), [("paper", 0.2), ("slides", 0.01)], ids=["paper", "slides"]
)
def test_initial_weights(init: Init, dense: float) -> None:
    torch.manual_seed(1)
    tower = KochTower(init)
    spreads = [0.01] * 4 + [dense]
    layers = [*tower.convolutions, tower.dense]
    assert [tuple(x.weight.shape) for x in layers[:4]] == [(o, i, k, k) for i, o, k in LAYERS]
    assert tower.dense.weight.shape == (4096, 9216)
    for layer, spread in zip(layers, spreads, strict=True):
        _drawn_from(layer.weight, 0.0, spread)
        _drawn_from(layer.bias, 0.5, 0.01)


def _drawn_from(values: Tensor, mean: float, spread: float) -> None:
    """Mean and spread within five standard errors of a normal distribution's."""
    values, n = values.detach(), values.numel()
    assert abs(float(values.mean()) - mean) < 5 * spread / math.sqrt(n)
    assert abs(float(values.std()) - spread) < 5 * spread / math.sqrt(2 * n)


def test_unit_variance_starts_from_he_and_ends_at_mean_0_and_variance_1() -> None:
    torch.manual_seed(2)
    tower = KochTower("unit-variance")
    for (inputs, _, side), layer in zip(LAYERS, tower.convolutions, strict=True):
        _drawn_from(layer.weight, 0.0, math.sqrt(2 / (inputs * side**2)))
        assert not layer.bias.any()
    ink = strokes(5)
    unit_variance_(tower, ink)
    outputs: list[Tensor] = []
    for layer in (*tower.convolutions, tower.dense):
        layer.register_forward_hook(lambda _, x, y: outputs.append(y.double()))
    with torch.no_grad():
        tower(ink)
    assert len(outputs) == 5
    for y in outputs:
        channels = y.transpose(0, 1).flatten(1)
        torch.testing.assert_close(
            channels.mean(1), torch.zeros(len(channels)).double(), atol=1e-3, rtol=0
        )
        torch.testing.assert_close(
            channels.var(1), torch.ones(len(channels)).double(), atol=1e-2, rtol=0
        )
