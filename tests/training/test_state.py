"""The state of a run on disk: everything comes back, and a torn write is never read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from handful.errors import InputError
from handful.training.state import (
    Position,
    clear_leftovers,
    load_state,
    pack,
    save_state,
    unpack,
)


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    return layers.to(memory_format=torch.channels_last)


def walk(model: nn.Module, optimizer: Optimizer, steps: range) -> None:
    for step in steps:
        x = torch.rand(5, 2, 4, 4, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


OPTIMIZERS = {
    "adam": lambda model: Adam(model.parameters(), lr=0.01),
    "momentum": lambda model: SGD(model.parameters(), lr=0.01, momentum=0.9),
    "plain": lambda model: SGD(model.parameters(), lr=0.01),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_run_goes_on_from_its_state_bit_for_bit(tmp_path: Path, kind: str) -> None:
    make = OPTIMIZERS[kind]
    first, second = network(0), network(1)
    one, two = make(first), make(second)
    walk(first, one, range(3))
    save_state(tmp_path, Position(step=3), pack({"model": first}, one))
    walk(first, one, range(3, 6))

    found = load_state(tmp_path)
    assert found is not None
    unpack(found[1], {"model": second}, two)
    walk(second, two, range(3, 6))
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    # the optimiser's tensors keep the parameters' order in memory
    for parameter, held in two.state.items():
        for tensor in held.values():
            assert tensor.shape == () or tensor.stride() == parameter.stride()


def test_position_comes_back(tmp_path: Path) -> None:
    position = Position(7, 5, 0.9, 2, 1.5, 448, "bf16-mixed", {"one_shot": 0.8})
    save_state(tmp_path, position, {"x": torch.arange(3)})
    found = load_state(tmp_path)
    assert found is not None
    assert found[0] == position
    assert torch.equal(found[1]["x"], torch.arange(3))


def test_one_state_is_kept(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        save_state(tmp_path, Position(step=step), {"x": torch.tensor([step])})
    assert [file.name for file in tmp_path.glob("state-*")] == ["state-00000030.safetensors"]
    assert load_state(tmp_path / "elsewhere") is None


def test_a_write_torn_before_the_pointer_leaves_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_state(tmp_path, Position(step=10), {"x": torch.tensor([10])})

    def torn(path: Path, value: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("handful.training.state.write_json", torn)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path, Position(step=20), {"x": torch.tensor([20])})
    monkeypatch.undo()
    found = load_state(tmp_path)
    assert found is not None
    assert (found[0].step, found[1]["x"].item()) == (10, 10)
    save_state(tmp_path, Position(step=20), {"x": torch.tensor([20])})
    assert [file.name for file in tmp_path.glob("state-*")] == ["state-00000020.safetensors"]


def test_leftovers_are_cleared(tmp_path: Path) -> None:
    save_state(tmp_path, Position(step=10), {"x": torch.zeros(1)})
    for name in (".state-00000020.77.part.safetensors", ".metrics.77.part.csv"):
        (tmp_path / name).write_bytes(b"half")
    clear_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "state-00000010.safetensors",
        "state.json",
    ]


def test_a_state_whose_tensors_are_gone(tmp_path: Path) -> None:
    save_state(tmp_path, Position(step=10), {"x": torch.zeros(1)})
    (tmp_path / "state-00000010.safetensors").unlink()
    with pytest.raises(InputError, match=r"state-00000010\.safetensors is missing") as error:
        load_state(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"file": "x", "stop": 1}'])
def test_a_damaged_pointer(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(InputError, match=r"state\.json: damaged"):
        load_state(tmp_path)


def test_the_pointer_is_plain_json(tmp_path: Path) -> None:
    save_state(tmp_path, Position(step=10, best_value=0.5), {"x": torch.zeros(1)})
    fields = json.loads((tmp_path / "state.json").read_text())
    assert (fields["file"], fields["step"]) == ("state-00000010.safetensors", 10)
