"""Every block's map, against the networks run block by block."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from handful.backbones.handful_base import HandfulBase
from handful.backbones.pyramid import pyramid
from handful.errors import InputError


def residual_sum(block: nn.Module, x: Tensor) -> Tensor:
    """Run a bottleneck up to the sum, without the last ReLU."""
    y = block.relu(block.bn1(block.conv1(x)))
    y = block.relu(block.bn2(block.conv2(y)))
    skip = x if block.downsample is None else block.downsample(x)
    return block.bn3(block.conv3(y)) + skip


@pytest.mark.parametrize(("name", "counts"), [("resnet50", (4, 6, 3)), ("resnet101", (4, 23, 3))])
def test_maps_are_the_residual_sums_before_their_relu(
    tmp_path: Path, name: str, counts: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    backbone = pyramid(name).load(tmp_path / "w.pth")
    backbone.train()
    assert not any(part.training for part in backbone.modules())
    assert not any(value.requires_grad for value in backbone.parameters())
    x = torch.randn(1, 3, 64, 96)
    found = backbone(x)
    x = network.layer1(network.maxpool(network.relu(network.bn1(network.conv1(x)))))
    for layer, count in enumerate(counts, 2):
        blocks = getattr(network, f"layer{layer}")
        assert len(blocks) == count
        for index, block in enumerate(blocks):
            truth = residual_sum(block, x)
            key = f"layer{layer}.{index}.add"
            assert torch.equal(found.pop(key), truth)
            assert (truth < 0).any()
            assert backbone.strides[key] == 2 ** (layer + 1)
            assert backbone.channels[key] == truth.shape[1]
            x = truth.relu()
    assert not found
    assert not any(part._forward_hooks for part in backbone.modules())


def test_sides_at_473_pixels() -> None:
    found = pyramid("resnet18")(torch.zeros(1, 3, 473, 473))
    assert [value.shape[-1] for value in found.values()] == [60, 60, 30, 30, 15, 15]


def test_handful_base_gives_every_block() -> None:
    plain, blocks = HandfulBase().load(), pyramid("handful-base").load()
    assert plain.digest == blocks.digest
    x = torch.randn(2, 3, 96, 64)
    truth, found = plain(x), blocks(x)
    for key, name in (("stride8", "block5"), ("stride16", "block12"), ("stride32", "block16")):
        torch.testing.assert_close(found[name], truth[key], rtol=0, atol=0)
    y = nn.functional.relu6(plain.network.stem(x))
    for index, block in enumerate(plain.network.blocks):
        y = block(y)
        if index >= 3:
            name = f"block{index}"
            torch.testing.assert_close(found[name], y, rtol=0, atol=0)
            assert blocks.channels[name] == y.shape[1]
            assert blocks.strides[name] == 96 // y.shape[2]
    assert len(found) == index - 2
    torch.testing.assert_close(blocks.embed(x), plain.embed(x))


def test_other_networks_are_one_line() -> None:
    with pytest.raises(InputError, match=r"backbone 'vgg16': there are maps .* resnet50"):
        pyramid("vgg16")
