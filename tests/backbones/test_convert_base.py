"""Folding and projecting, against batch norms that are run and numpy's decomposition."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from handful import zoo
from handful.backbones.convert_base import convert, leading_directions, main
from handful.backbones.handful_base import Trunk
from handful.errors import InputError
from handful.zoo import store


@pytest.fixture(scope="module")
def source() -> nn.Module:
    """timm's network with batch norms that do something."""
    torch.manual_seed(5)
    network: nn.Module = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=601)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.7, 1.3)
            nn.init.uniform_(part.bias, 0.1, 0.6)
            nn.init.uniform_(part.running_mean, -0.3, 0.3)
            nn.init.uniform_(part.running_var, 0.6, 1.6)
    return network.eval()


@pytest.fixture(scope="module")
def folded(source: nn.Module) -> dict[str, torch.Tensor]:
    return convert(source.state_dict())


@pytest.mark.parametrize("size", [(96, 96), (97, 64), (65, 129)])
def test_folded_trunk_equals_timm_unfolded(
    source: nn.Module,
    folded: dict[str, torch.Tensor],
    size: tuple[int, int],
) -> None:
    """In double precision, before rounding to half: even and odd sides, every map."""
    trunk = Trunk().double()
    trunk.load_state_dict(folded)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    final, maps = deepcopy(source).double().forward_intermediates(x)
    found = trunk.eval()(x)
    truth = dict(zip(("stride8", "stride16", "stride32"), maps[2:], strict=True), head=final)
    for key, value in truth.items():
        assert value.std() > 0.01  # the comparison is of something
        torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-9)


def test_rounding_to_half_moves_the_features_little(
    source: nn.Module, folded: dict[str, torch.Tensor]
) -> None:
    trunk = Trunk().eval()
    trunk.load_state_dict({key: value.half().float() for key, value in folded.items()})
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        found = trunk(x)["head"].mean((2, 3))
        truth = source.forward_head(source.forward_features(x), pre_logits=True)
    assert torch.cosine_similarity(found, truth).min() > 0.9999


def test_projection_is_numpys_leading_right_singular_vectors() -> None:
    matrix = np.random.default_rng(0).normal(size=(40, 24)) * np.linspace(3, 1, 24)
    found = leading_directions(matrix, 10)
    _, vectors = np.linalg.eigh(np.cov(matrix.T))
    leading = vectors[:, ::-1][:, :10]
    # the same vectors but for their signs, which follow a rule
    np.testing.assert_allclose(np.abs(found @ leading), np.eye(10), atol=1e-8)
    assert (found[np.arange(10), np.abs(found).argmax(1)] > 0).all()
    np.testing.assert_allclose(leading_directions(matrix + 7, 10), found, atol=1e-8)


def test_no_mobilenet_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"no MobileNetV2 of timm: 'conv_stem\.weight' is missing"):
        convert({"fc.weight": torch.ones(1)})
    save_file({"fc.weight": torch.ones(1)}, tmp_path / "a.safetensors")
    assert main([str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "b.safetensors").exists()


def test_converting_twice_gives_the_same_file(source: nn.Module, tmp_path: Path) -> None:
    save_file(source.state_dict(), tmp_path / "source.safetensors")
    for name in ("a", "b"):
        assert (
            main([str(tmp_path / "source.safetensors"), str(tmp_path / f"{name}.safetensors")]) == 0
        )
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.data("weights")
def test_the_bundled_file_is_made_again_bit_for_bit(
    data_root: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = data_root("weights") / "mobilenetv2_100.safetensors"
    out = tmp_path / "handful-base.safetensors"
    assert main([str(file), str(out)]) == 0
    assert capsys.readouterr().out.split()[0] == zoo.card("handful-base").sha256
    assert out.read_bytes() == zoo.weights("handful-base").read_bytes()
    notice = (store.BUNDLED / "weights" / "handful-base.NOTICE").read_text()
    assert hashlib.sha256(file.read_bytes()).hexdigest() in notice


@pytest.mark.data("weights")
def test_the_bundled_projection_is_of_the_sources_own_classifier(
    data_root: Callable[[str], Path],
) -> None:
    classifier = load_file(data_root("weights") / "mobilenetv2_100.safetensors")[
        "classifier.weight"
    ].double()
    centred = classifier - classifier.mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    leading = vectors[:, -512:]
    projection = zoo.load_weights("handful-base")["projection.weight"].double()
    # the same subspace: nothing of the projection's rows lies outside of it
    outside = projection - projection @ leading @ leading.T
    assert outside.norm(dim=1).max() < 1e-3
    torch.testing.assert_close(
        projection @ projection.T, torch.eye(512).double(), atol=1e-3, rtol=0
    )
