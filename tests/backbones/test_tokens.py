"""A transformer's tokens as maps, against timm's own features."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from handful.backbones.tokens import TokenMaps, is_transformer
from handful.errors import InputError


def test_at_its_own_size_the_map_is_timms_tokens(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224").eval()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    backbone = TokenMaps("vit_tiny_patch16_224").load(tmp_path / "w.safetensors")
    x = torch.randn(2, 3, 224, 224)
    maps = backbone(x)
    assert list(maps) == ["stride16"]
    # without the final norm, as of every intermediate map
    tokens = network.blocks(network.norm_pre(network._pos_embed(network.patch_embed(x))))
    expected = tokens[:, 1:].mT.reshape(2, 192, 14, 14)
    torch.testing.assert_close(maps["stride16"], expected)
    torch.testing.assert_close(network.get_classifier()(backbone.embed(x)), network(x))


@pytest.mark.parametrize(
    ("name", "patch"), [("vit_tiny_patch16_224", 16), ("vit_small_patch16_dinov3", 16)]
)
def test_a_photo_of_any_size_is_seen_in_whole_patches(name: str, patch: int) -> None:
    backbone = TokenMaps(name, blocks=[2, 5])
    assert backbone.fixed_size is None
    assert list(backbone.strides.values()) == [patch, patch]
    maps = backbone(torch.randn(1, 3, 101, 57))
    assert {tuple(found.shape[2:]) for found in maps.values()} == {(6, 4)}
    assert list(maps) == ["stage2", "stage5"]


def test_only_plain_transformers() -> None:
    assert is_transformer("vit_small_patch14_dinov2.lvd142m")
    assert not is_transformer("swin_tiny_patch4_window7_224")
    assert not is_transformer("hf-hub:timm/vit")
    with pytest.raises(InputError, match="no transformer"):
        TokenMaps("resnet18")
