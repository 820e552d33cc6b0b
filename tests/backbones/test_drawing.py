"""The drawing network: any side, a pooling that knows positions, small enough to bundle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d

from handful.backbones.drawing import DrawingNet, ResidualBlock, drawing_embedder
from handful.images import ink
from handful.training.recipe import read_recipe

SMALL = {"widths": (8, 8, 8), "depths": (1, 1, 1), "views": 3}


@pytest.mark.parametrize("size", [56, 55, 54, 50, 45, 33, 17])
def test_any_side(size: int) -> None:
    network = DrawingNet(size, **SMALL)
    assert network(torch.rand(2, 1, size, size)).shape == (2, 24)
    assert network.features == 24


def test_another_side_than_its_own_is_refused() -> None:
    with pytest.raises(RuntimeError):
        DrawingNet(56, **SMALL)(torch.zeros(2, 1, 72, 72))


def test_a_block_adds_two_convolutions_to_its_shortcut() -> None:
    torch.manual_seed(3)
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    fresh = 1 / np.sqrt(1 + 1e-5)  # a new batch norm in evaluation
    for outputs, stride in ((4, 1), (5, 2)):
        block = ResidualBlock(4, outputs, stride).double().eval()
        torch.nn.init.constant_(block.second_norm.weight, 0.7)
        inner = (fresh * conv2d(x, block.first.weight, None, stride, 1)).clamp_min(0)
        inner = 0.7 * fresh * conv2d(inner, block.second.weight, None, 1, 1)
        shortcut = x
        if stride == 2:
            shortcut = fresh * conv2d(avg_pool2d(x, 2), block.shortcut[1].weight)
        with torch.no_grad():
            torch.testing.assert_close(block(x), (inner + shortcut).clamp_min(0))


def test_a_new_block_of_equal_width_is_the_identity() -> None:
    x = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(ResidualBlock(4, 4, 1).eval()(x), x)


def test_the_vector_is_the_sum_of_the_weighted_positions() -> None:
    torch.manual_seed(0)
    network = DrawingNet(24, **SMALL).eval()
    page = torch.rand(1, 1, 24, 24)
    with torch.no_grad():
        maps = network.body(network.stem(page))[0].flatten(1).double().numpy()
        found = network(page)[0]
    weights = network.positions.detach().double().numpy()
    # a fresh batch norm divides by sqrt(1 + eps) alone
    expected = [
        sum(maps[c, p] * weights[c, v, p] for p in range(maps.shape[1])) / np.sqrt(1 + 1e-5)
        for c in range(8)
        for v in range(3)
    ]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_knows_where_a_stroke_is_as_a_mean_over_positions_would_not() -> None:
    torch.manual_seed(1)
    network = DrawingNet(96, **SMALL).eval()
    page = torch.zeros(2, 1, 96, 96)
    page[0, 0, 40:44, 38:46] = 1
    page[1] = page[0].roll((8, 8), (1, 2))  # one position of the last map on
    with torch.no_grad():
        maps = network.body(network.stem(page))
        first, second = network(page)
    torch.testing.assert_close(maps[0].mean((1, 2)), maps[1].mean((1, 2)))
    assert (first - second).norm() > 0.2 * first.norm()


def test_the_bundled_size_stays_below_a_million_parameters() -> None:
    network = DrawingNet(**read_recipe("omniglot-small")["options"]["network"])
    count = sum(p.numel() for p in network.parameters())
    assert 100_000 < count < 1_000_000


def test_the_embedder_reads_pictures_by_their_ink() -> None:
    torch.manual_seed(2)
    network = DrawingNet(20, **SMALL)
    network.train()(torch.rand(8, 1, 20, 20))  # moves the running statistics
    pages = np.full((3, 40, 30), 255, np.uint8)
    for number, page in enumerate(pages):
        page[10 + number : 14, 5 : 20 + number] = 30
    embedder = drawing_embedder(network, margin=0.25)
    assert embedder.name == "drawing-net"
    found = embedder.embed(list(pages))
    with torch.no_grad():
        inputs = torch.from_numpy(np.stack([ink(page, 20, 0.25) for page in pages]))
        expected = network.eval()(inputs[:, None])
    torch.testing.assert_close(found, expected)
