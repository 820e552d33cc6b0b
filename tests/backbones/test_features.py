"""The door of a backbone: frozen, loaded whole or not at all, known by its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from handful.backbones import Embedding, FeatureMaps, build, check_digest
from handful.errors import InputError


class Tiny(FeatureMaps):
    """One convolution, one batch norm; the file may hold a classifier too."""

    def __init__(self, frozen: bool = True, features: int = 4) -> None:
        network = nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.BatchNorm2d(4))
        super().__init__(
            "tiny",
            network,
            strides={"stride2": 2},
            channels={"stride2": 4},
            features=features,
            dropped=frozenset({"fc.weight"}),
            frozen=frozen,
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"stride2": self.network(x)}

    def embed(self, x: Tensor) -> Tensor:
        return torch.mean(self.network(x), dim=(2, 3))

    def _download(self) -> Path:
        raise InputError("tiny: no network")


def state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.rand(value.shape, generator=generator) if value.is_floating_point() else value
        for key, value in Tiny().network.state_dict().items()
    }


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_stays_in_evaluation_mode_inside_a_model_that_trains(frozen: bool) -> None:
    backbone = Tiny(frozen)
    model = nn.Sequential(backbone, nn.Linear(4, 2)).train()
    x = torch.randn(8, 3, 4, 4)
    before = backbone.network[1].running_mean.clone()
    backbone(x)
    moved = not torch.equal(before, backbone.network[1].running_mean)
    assert moved is not frozen
    assert model[1].training
    assert all(p.requires_grad is not frozen for p in backbone.parameters())


def test_gradients_still_reach_the_input_of_a_frozen_network() -> None:
    x = torch.randn(1, 3, 4, 4, requires_grad=True)
    Tiny().embed(x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_file_is_loaded_and_known_by_its_digest(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w.{suffix}"
    tensors = state() | {"fc.weight": torch.ones(7, 4)}
    del tensors["1.num_batches_tracked"]
    save_file(tensors, path) if suffix == "safetensors" else torch.save(tensors, path)
    backbone = Tiny()
    assert backbone.digest is None
    assert backbone.load(path) is backbone
    assert backbone.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert torch.equal(backbone.network[0].weight, tensors["0.weight"])
    assert torch.equal(backbone.network[1].running_var, tensors["1.running_var"])


def test_half_precision_is_loaded_as_single(tmp_path: Path) -> None:
    save_file({key: value.half() for key, value in state().items()}, tmp_path / "w.safetensors")
    backbone = Tiny().load(tmp_path / "w.safetensors")
    assert backbone.network[0].weight.dtype == torch.float32
    assert torch.equal(backbone.network[0].weight, state()["0.weight"].half().float())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"0.bias": None}, "1 tensors missing, such as 0.bias"),
        ({"7.bias": torch.ones(1)}, "1 tensors unknown, such as 7.bias"),
        ({"0.bias": torch.ones(5)}, "1 tensors of another shape, such as 0.bias"),
    ],
)
def test_another_networks_file_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, Tensor | None], reason: str
) -> None:
    tensors = {key: value for key, value in (state() | change).items() if value is not None}
    path = tmp_path / "w.safetensors"
    save_file(tensors, path)
    backbone = Tiny()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(InputError) as error:
        backbone.load(path)
    assert str(error.value) == f"{path}: holds other weights than tiny's ({reason})"
    assert backbone.digest is None
    assert all(torch.equal(before[key], value) for key, value in backbone.state_dict().items())


def test_files_of_other_kinds_and_missing_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"w\.npz: weights are a \.safetensors, \.pt or \.pth"):
        Tiny().load(tmp_path / "w.npz")
    with pytest.raises(InputError, match=r"w\.safetensors: no such file"):
        Tiny().load(tmp_path / "w.safetensors")


def test_digest_is_checked_naming_both(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(state(), path)
    backbone = Tiny()
    check_digest(None, backbone)
    with pytest.raises(InputError, match=f"{'0' * 64}, found none: no weights are loaded"):
        check_digest("0" * 64, backbone)
    digest = backbone.load(path).digest
    check_digest(digest, backbone)
    with pytest.raises(InputError) as error:
        check_digest("0" * 64, backbone)
    assert "0" * 64 in str(error.value)
    assert str(digest) in str(error.value)
    assert "\n" not in str(error.value)


def test_embedding_has_unit_length_and_needs_one() -> None:
    vectors = Embedding(Tiny())(torch.randn(5, 3, 4, 4))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))
    with pytest.raises(InputError, match="tiny: was built without an embedding"):
        Embedding(Tiny(features=0))


def test_a_random_control_is_the_same_every_time_and_loads_nothing() -> None:
    first, again = build("random:handful-base").load(), build("random:handful-base").load()
    assert first.name == "random:handful-base"
    assert first.digest is None
    pixels = torch.rand(1, 3, 64, 64)
    assert torch.equal(first.embed(pixels), again.embed(pixels))
    assert not torch.equal(first.embed(pixels), build("handful-base").load().embed(pixels))
