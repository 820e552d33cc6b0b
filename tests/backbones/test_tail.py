"""Trunk and tail together are the backbone; what is trained is the tail alone."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from handful.backbones import build
from handful.backbones.cut import cut
from handful.backbones.tail import Tail, Tuned
from handful.errors import InputError


@pytest.mark.parametrize("name", ["random:handful-base", "random:resnet18"])
def test_trunk_and_tail_are_the_backbone(name: str) -> None:
    backbone = build(name).eval()
    tail = Tail(backbone).eval()
    pixels = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        maps, vectors = tail(tail.trunk(pixels))
        last = list(backbone(pixels).values())[-1]
        torch.testing.assert_close(maps, last)
        torch.testing.assert_close(vectors, backbone.embed(pixels))
        torch.testing.assert_close(Tuned(tail)(pixels), normalize(vectors, dim=1))
        for whole in (tail.cut(), cut(Tuned(tail))):
            torch.testing.assert_close(whole.both(pixels)[1], vectors)
            assert whole.head is not None
            torch.testing.assert_close(whole.head(maps), vectors)


def test_only_the_tail_is_trained_and_saved() -> None:
    backbone = build("random:resnet18")
    tail = Tail(backbone, features=16)
    trained = sum(p.numel() for p in tail.parameters() if p.requires_grad)
    layer4 = sum(
        p.numel() for name, p in backbone.network.named_parameters() if name.startswith("layer4")
    )
    assert trained == layer4 + 512 * 16
    assert not any(name.startswith(("conv1", "layer3")) for name in tail.state_dict())
    vectors = tail(tail.trunk(torch.randn(2, 3, 64, 64)))[1]
    assert vectors.shape == (2, 16)
    vectors.sum().backward()
    assert all(p.grad is None for p in tail.whole_trunk.parameters())


def test_batch_norms_keep_their_statistics() -> None:
    tail = Tail(build("random:resnet18")).train()
    before = {name: value.clone() for name, value in tail.state_dict().items()}
    tail(tail.trunk(torch.randn(4, 3, 64, 64)))
    assert all(torch.equal(before[name], value) for name, value in tail.state_dict().items())


def test_gradients_reach_the_pixels_through_the_frozen_trunk() -> None:
    tail = Tail(build("random:handful-base"))
    pixels = torch.randn(1, 3, 64, 64, requires_grad=True)
    tail.cut().both(pixels)[1].square().sum().backward()
    assert pixels.grad is not None
    assert float(pixels.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", ["random:handful-base", "random:resnet18"])
def test_a_fine_tail_halves_nothing(name: str) -> None:
    backbone = build(name).eval()
    pixels = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        before = list(backbone(pixels).values())[-1]
        fine, coarse = Tail(backbone, fine=True), Tail(backbone)
        maps = fine.eval().layers(fine.trunk(pixels))
        assert maps.shape[2:] == (6, 4)
        assert before.shape[2:] == (3, 2)
        # the same numbers: the backbone itself is as it was
        assert all(
            torch.equal(a, b) for a, b in zip(fine.parameters(), coarse.parameters(), strict=True)
        )
        torch.testing.assert_close(list(backbone(pixels).values())[-1], before)


@pytest.mark.parametrize(
    ("name", "parts", "expected"),
    [
        ("random:handful-base", 1, {"projection"}),
        ("random:handful-base", 3, {"projection", "layers.head", "layers.blocks.3"}),
        ("random:resnet18", 1, {"layers.1"}),
    ],
)
def test_the_last_parts_alone_are_trained(name: str, parts: int, expected: set[str]) -> None:
    tail = Tail(build(name)).train_last(parts)
    learn = [n for n, parameter in tail.named_parameters() if parameter.requires_grad]
    assert {next(e for e in expected if n.startswith(e)) for n in learn} == expected
    assert len(learn) == sum(
        any(n.startswith(e) for e in expected) for n, _ in tail.named_parameters()
    )


def test_more_parts_than_there_are_is_one_line() -> None:
    with pytest.raises(InputError, match="last 9 parts are to be trained: there are 6"):
        Tail(build("random:handful-base")).train_last(9)


def test_other_networks_are_refused() -> None:
    with pytest.raises(InputError, match="trains handful-base or a ResNet"):
        Tail(build("mobilenet_v2"))
