"""torchvision's networks as maps, against the networks themselves run layer by layer."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from handful.backbones import build
from handful.backbones.torchvision_backbone import TorchvisionBackbone
from handful.errors import InputError


def resnet(name: str) -> nn.Module:
    torch.manual_seed(3)
    network: nn.Module = torchvision.models.get_model(name, weights=None)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.weight, 0.5, 1.0)
    return network.eval()


def by_hand(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Run a ResNet's parts in turn."""
    x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
    maps = {}
    for stage, stride in enumerate((4, 8, 16, 32), 1):
        x = getattr(network, f"layer{stage}")(x)
        maps[f"stride{stride}"] = x
    return maps


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_maps_and_embedding_are_the_networks_own(tmp_path: Path, name: str) -> None:
    network = resnet(name)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    backbone = TorchvisionBackbone(name).load(tmp_path / "w.pth")
    x = torch.randn(2, 3, 64, 96)
    truth = by_hand(network, x)
    found = backbone(x)
    assert list(found) == list(truth) == list(backbone.strides)
    for key, value in truth.items():
        assert torch.equal(found[key], value)
        assert backbone.channels[key] == value.shape[1]
        assert (64 // backbone.strides[key], 96 // backbone.strides[key]) == value.shape[2:]
    embedding = backbone.embed(x)
    assert torch.equal(embedding, truth["stride32"].mean((2, 3)))
    torch.testing.assert_close(network.fc(embedding), network(x))
    assert embedding.shape == (2, backbone.features)


def test_a_vector_inside_the_classifier_embeds_as_fc6_of_alexnet(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = torchvision.models.get_model("alexnet", weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    backbone = build("torchvision:alexnet@classifier.2").load(tmp_path / "w.pth")
    x = torch.randn(2, 3, 96, 96)
    pooled = network.avgpool(network.features(x)).flatten(1)
    truth = network.classifier[1](pooled).relu()
    assert torch.equal(backbone.embed(x), truth)
    assert backbone.features == 4096
    assert backbone.name == "torchvision:alexnet@classifier.2"
    with pytest.raises(InputError, match=r"alexnet@features\.0: gives a map there, and no vector"):
        build("alexnet@features.0")


def test_nodes_inside_a_block_are_given(tmp_path: Path) -> None:
    """The sum of a residual block before its ReLU, which no module gives."""
    network = resnet("resnet18")
    torch.save(network.state_dict(), tmp_path / "w.pth")
    nodes = ["layer2.1.add", "layer3"]
    backbone = TorchvisionBackbone("resnet18", nodes, embedding=False).load(tmp_path / "w.pth")
    x = torch.randn(1, 3, 64, 64)
    stem = network.maxpool(network.relu(network.bn1(network.conv1(x))))
    before = network.layer2[0](network.layer1(stem))
    block = network.layer2[1]
    inner = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(before)))))
    found = backbone(x)
    assert torch.equal(found["layer2.1.add"], inner + before)
    assert (found["layer2.1.add"] < 0).any()
    assert torch.equal(found["layer3"], network.layer3(torch.relu(inner + before)))
    assert backbone.strides == {"layer2.1.add": 8, "layer3": 16}
    assert backbone.channels == {"layer2.1.add": 128, "layer3": 256}
    assert backbone.features == 0
    # what no map needs is not kept
    assert not any(key.startswith(("layer4", "fc")) for key in backbone.network.state_dict())


@pytest.mark.parametrize(
    ("name", "channels", "features"),
    [
        ("mobilenet_v2", [24, 32, 96, 1280], 1280),
        ("regnet_x_400mf", [32, 64, 160, 400], 400),
        ("squeezenet1_1", [128, 256, 512], 512),
        ("shufflenet_v2_x0_5", [24, 48, 96, 1024], 1024),
    ],
)
def test_other_families(name: str, channels: list[int], features: int) -> None:
    backbone = TorchvisionBackbone(name)
    x = torch.randn(1, 3, 128, 128)
    found = backbone(x)
    assert [value.shape[1] for value in found.values()] == channels
    assert list(backbone.channels.values()) == channels
    for key, value in found.items():
        assert abs(value.shape[-1] - 128 / backbone.strides[key]) <= 1
    assert backbone.embed(x).shape == (1, features)
    assert backbone.features == features


def test_no_hook_is_left_behind() -> None:
    backbone = TorchvisionBackbone("resnet18")
    backbone(torch.zeros(1, 3, 64, 64))
    for part in backbone.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
        assert not part._backward_hooks


def test_unknown_networks_and_nodes_are_one_line() -> None:
    for name in ("resnet51", "vit_b_16", "fcn_resnet50"):
        with pytest.raises(InputError, match=f"torchvision:{name}: torchvision has no such"):
            TorchvisionBackbone(name)
    with pytest.raises(InputError, match="torchvision:resnet18: has no such node") as error:
        TorchvisionBackbone("resnet18", ["layer9"])
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="flatten is no feature map"):
        TorchvisionBackbone("resnet18", ["flatten"])
    with pytest.raises(InputError, match="is handful-base, torchvision:NAME or timm:NAME"):
        build("keras:resnet50")


def test_without_network_and_file_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(url: str, *args: object, **kwargs: object) -> None:
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(InputError) as error:
        build("resnet18").load()
    message = str(error.value)
    assert message.startswith("torchvision:resnet18: its weights are not on this machine")
    assert "name resolution" in message
    assert message.endswith("or give the file with --backbone-weights FILE")
    assert "\n" not in message
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_the_librarys_own_download_is_loaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = resnet("resnet18")
    urls = []

    def served(url: str, file: str, prefix: str | None, progress: bool) -> None:
        urls.append((url.rpartition("/")[2], prefix))
        torch.save(network.state_dict(), file)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", served)
    for _ in range(2):
        backbone = build("torchvision:resnet18").load()
        assert torch.equal(backbone.network.conv1.weight, network.conv1.weight)
        assert backbone.digest is not None
    # torchvision publishes it under this name, which holds the digits of its digest
    assert urls == [("resnet18-f37072fd.pth", "f37072fd")]


@pytest.mark.data("weights")
def test_real_weights_are_loaded_strictly(data_root: Callable[[str], Path]) -> None:
    file = data_root("weights") / "resnet18.safetensors"
    backbone = TorchvisionBackbone("resnet18").load(file)
    assert backbone.digest
    with pytest.raises(InputError, match=r"holds other weights than torchvision:resnet34's"):
        TorchvisionBackbone("resnet34").load(file)
