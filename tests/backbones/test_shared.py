from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from handful.backbones import FeatureMaps, Kept, build, share_maps
from handful.backbones.handful_base import HandfulBase


def test_maps_beyond_the_memory_are_made_again() -> None:
    made = []

    def make(key: str) -> dict[str, torch.Tensor]:
        made.append(key)
        return {"m": torch.full((2**19,), float(len(made)))}  # a megabyte in half precision

    kept = Kept(2.5 / 1024)
    for _ in range(2):
        for key in "abc":
            kept.get(key, lambda key=key: make(key))  # type: ignore[misc]
    assert made == ["a", "b", "c", "c"]
    assert len(kept) == 2
    assert "c" not in kept
    assert kept.get("b", dict)["m"][0] == 2


def test_networks_of_the_same_weights_run_once() -> None:
    one, two = HandfulBase().load(), HandfulBase().load()
    photos = torch.rand(3, 3, 64, 64)
    with torch.inference_mode():
        expected = one(photos)
    runs: list[int] = []
    for network in (one, two):
        count(network, runs)
    assert share_maps([SimpleNamespace(network=one), SimpleNamespace(model=two, name="x")]) == 2
    with torch.inference_mode():
        first, again = one(photos[:2]), two(photos)
    assert runs == [1, 1, 1]
    for name, maps in expected.items():
        assert again[name].dtype == torch.float32
        assert torch.allclose(again[name], maps, rtol=2e-3, atol=2e-3)
        assert torch.equal(first[name], again[name][:2])


def test_what_has_gradients_or_other_weights_is_not_shared() -> None:
    one, two, other = HandfulBase().load(), HandfulBase().load(), build("random:handful-base")
    runs: list[int] = []
    count(other, runs)
    holders = [SimpleNamespace(network=n) for n in (one, two, other)]
    assert share_maps(holders) == 2
    photos = torch.rand(1, 3, 64, 64, requires_grad=True)
    two(photos)["stride32"].sum().backward()  # type: ignore[no-untyped-call]
    assert photos.grad is not None
    with torch.inference_mode():
        other(photos), other(photos)
    assert runs == [1, 1]


def test_a_network_cut_elsewhere_gives_its_own_maps() -> None:
    one, two = HandfulBase().load(), HandfulBase().load()
    two.strides = {"stride32": 32}
    assert share_maps([SimpleNamespace(network=n) for n in (one, two)]) == 0


def count(network: FeatureMaps, runs: list[int]) -> None:
    """Write down how many photos go through a network at once."""
    forward = network.forward

    def counted(x: Tensor) -> dict[str, Tensor]:
        runs.append(len(x))
        found: dict[str, Tensor] = forward(x)
        return found

    network.forward = counted  # type: ignore[method-assign]
