"""timm's networks as maps, against timm's own wrapper for features."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from handful.backbones import build
from handful.backbones.timm_backbone import TimmBackbone
from handful.errors import InputError


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "convnext_atto"])
def test_maps_and_embedding_are_timms(tmp_path: Path, name: str) -> None:
    torch.manual_seed(1)
    network = timm.create_model(name).eval()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    backbone = TimmBackbone(name).load(tmp_path / "w.safetensors")
    x = torch.randn(1, 3, 96, 64)
    wrapper = timm.create_model(name, features_only=True).eval()
    own = {key.replace(".", "_", 1): value for key, value in network.state_dict().items()}
    # the wrapper flattens stages.0 to stages_0, and knows nothing of the head
    known = wrapper.state_dict()
    source = own if known.keys() - network.state_dict().keys() else network.state_dict()
    wrapper.load_state_dict({key: source[key] for key in known})
    maps = wrapper(x)
    truth = {
        f"stride{stride}": value
        for stride, value in zip(wrapper.feature_info.reduction(), maps, strict=True)
        if stride >= 4
    }
    found = backbone(x)
    assert list(found) == list(truth)
    for key, value in truth.items():
        torch.testing.assert_close(found[key], value)
        assert backbone.channels[key] == value.shape[1]
        assert backbone.strides[key] == 96 // value.shape[2] == 64 // value.shape[3]
    embedding = backbone.embed(x)
    assert embedding.shape == (1, backbone.features)
    torch.testing.assert_close(network.get_classifier()(embedding), network(x))


def test_a_transformer_says_its_one_size() -> None:
    backbone = build("timm:vit_tiny_patch16_224")
    assert isinstance(backbone, TimmBackbone)
    assert backbone.fixed_size == 224
    assert backbone.strides == {"stride16": 16}
    x = torch.randn(1, 3, 224, 224)
    assert backbone(x)["stride16"].shape == (1, 192, 14, 14)
    assert backbone.embed(x).shape == (1, 192)


def test_stages_and_options() -> None:
    backbone = TimmBackbone("mobilenetv2_100", stages=[4, 2], pad_type="same", mean=(0.5,) * 3)
    assert backbone.channels == {"stage2": 32, "stage4": 320}
    assert {key: value.shape[1] for key, value in backbone(torch.zeros(1, 3, 64, 64)).items()} == {
        "stage2": 32,
        "stage4": 320,
    }
    assert backbone.mean == (0.5, 0.5, 0.5)
    assert backbone.std == timm.create_model("mobilenetv2_100").pretrained_cfg["std"]
    with pytest.raises(InputError, match="has the stages 0 to 4, not \\[7\\]"):
        TimmBackbone("mobilenetv2_100", stages=[7])


def test_files_under_their_authors_names_are_translated(tmp_path: Path) -> None:
    """ConvNeXt was published with other names; timm knows them."""
    network = timm.create_model("convnext_atto")
    theirs = {
        key.replace("stem.0", "downsample_layers.0.0")
        .replace("stem.1", "downsample_layers.0.1")
        .replace("conv_dw", "dwconv")
        .replace("mlp.fc1", "pwconv1")
        .replace("mlp.fc2", "pwconv2")
        .replace("head.norm", "norm"): value
        for key, value in network.state_dict().items()
    }
    for stage in range(4):
        theirs = {
            key.replace(f"stages.{stage}.blocks", f"stages.{stage}").replace(
                f"stages.{stage}.downsample", f"downsample_layers.{stage}"
            ): value
            for key, value in theirs.items()
        }
    assert theirs.keys().isdisjoint({"stem.0.weight"})
    torch.save({key.replace("head.fc", "head"): v for key, v in theirs.items()}, tmp_path / "w.pth")
    backbone = TimmBackbone("convnext_atto").load(tmp_path / "w.pth")
    wanted = network.state_dict()
    for key, value in backbone.network.state_dict().items():
        assert torch.equal(value, wanted[key]), key


def test_unknown_names_are_one_line_and_ask_no_network() -> None:
    for name in ("resnet18x", "hf-hub:timm/resnet18", "resnet18.nonsense"):
        with pytest.raises(InputError, match=f"timm:{name}: ") as error:
            TimmBackbone(name)
        assert "\n" not in str(error.value)


def test_without_network_and_file_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(*args: object, **kwargs: object) -> str:
        raise ConnectionError("cannot reach the hub\nat all")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(InputError) as error:
        build("timm:resnet18").load()
    message = str(error.value)
    assert message.startswith("timm:resnet18: its weights are not on this machine")
    assert "cannot reach the hub at all" in message
    assert message.endswith("or give the file with --backbone-weights FILE")
    assert "\n" not in message


def test_the_librarys_own_download_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    network = timm.create_model("resnet18")
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    asked = []

    def served(repository: str, file: str) -> str:
        asked.append((repository, file))
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", served)
    backbone = build("timm:resnet18").load()
    assert torch.equal(backbone.network.conv1.weight, network.conv1.weight)
    assert asked == [("timm/resnet18.a1_in1k", "model.safetensors")]
