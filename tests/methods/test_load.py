"""Methods by name, by directory and by weights file; what does not fit is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from handful import methods, zoo
from handful.backbones.drawing import DrawingNet
from handful.errors import InputError
from handful.images import ink
from handful.methods import koch_siamese

NETWORK = {"size": 20, "widths": [4, 8], "depths": [1, 1], "views": 2}
CALIBRATION = {"slope": 9.0, "offset": -5.0, "temperature": 12.0, "reject": 0.6, "verify": 0.5}


def card(**fields: object) -> zoo.Card:
    about = {
        "name": "own",
        "title": "A test",
        "task": "recognize",
        "method": "prototypes",
        "backbone": "drawing-net",
        "licence": "Apache-2.0",
        "commercial_use": True,
        "data": "none",
        "limits": "everything",
    }
    return zoo.Card.model_validate(about | fields)


def halves(network: nn.Module) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}


@pytest.fixture
def network() -> DrawingNet:
    torch.manual_seed(0)
    network = DrawingNet(**NETWORK)
    network(torch.rand(8, 1, 20, 20))  # moves the running statistics
    return network.eval()


@pytest.fixture
def run(tmp_path: Path, network: DrawingNet) -> Path:
    about = card(input={"network": NETWORK, "margin": 0.25}, calibration=CALIBRATION)
    zoo.save_entry(tmp_path / "run", about, halves(network))
    return tmp_path / "run"


def pages() -> list[np.ndarray]:
    drawn = np.full((3, 40, 40), 255, np.uint8)
    for number, page in enumerate(drawn):
        page[8:30, 5 + 8 * number : 9 + 8 * number] = 0
        page[20:24, 4:36] = 0
    return list(drawn)


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_directory_loads_as_it_was_saved(run: Path, network: DrawingNet) -> None:
    matcher = methods.load(run, device="cpu")
    assert (matcher.name, matcher.backbone) == ("own", "drawing-net")
    assert matcher.calibration == methods.Calibration(**CALIBRATION)
    with torch.no_grad():
        network.load_state_dict({k: v.float() for k, v in halves(network).items()})
        vectors = network(torch.from_numpy(np.stack([ink(p, 20, 0.25) for p in pages()]))[:, None])
    expected = vectors / vectors.norm(dim=1, keepdim=True)
    torch.testing.assert_close(matcher.encode(pages()), expected)


def test_a_weights_file_is_read_by_the_card_beside_it(run: Path) -> None:
    by_folder = methods.load(run, device="cpu")
    by_file = methods.load("own", run / "weights.safetensors", device="cpu")
    assert torch.equal(by_folder.encode(pages()), by_file.encode(pages()))
    assert by_file.calibration == by_folder.calibration


@pytest.mark.parametrize("by_file", [False, True])
def test_changed_weights_are_refused(run: Path, by_file: bool) -> None:
    file = run / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    with pytest.raises(InputError, match="SHA-256") as error:
        methods.load("own", file) if by_file else methods.load(run)
    one_line(error)


@pytest.mark.parametrize("name", ["nearest-neighbour", "omniglot-small", "koch-warm"])
def test_weights_of_another_name_are_refused(run: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"holds 'own', not '{name}'") as error:
        methods.load(name, run / "weights.safetensors")
    one_line(error)


def test_bundled_weights_copied_elsewhere_are_the_bundled_model(tmp_path: Path) -> None:
    copied = tmp_path / "copied.safetensors"
    copied.write_bytes(zoo.weights("omniglot-small").read_bytes())
    bundled = methods.load("omniglot-small", device="cpu")
    found = methods.load("omniglot-small", copied, device="cpu")
    assert torch.equal(found.encode(pages()), bundled.encode(pages()))
    assert found.calibration == bundled.calibration is not None


def test_other_weights_have_no_calibration(tmp_path: Path) -> None:
    tensors = zoo.load_weights("omniglot-small")
    zoo.save_entry(tmp_path, card(), {k: v * 0.5 for k, v in tensors.items()})
    (tmp_path / "card.json").unlink()
    found = methods.load("omniglot-small", tmp_path / "weights.safetensors", device="cpu")
    assert found.calibration is None


def test_a_method_without_weights_takes_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nearest-neighbour takes no weights") as error:
        methods.load("nearest-neighbour", tmp_path / "any.safetensors")
    one_line(error)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = DrawingNet(**{**NETWORK, "widths": [4, 6]})
    zoo.save_entry(tmp_path, card(input={"network": NETWORK}), halves(other))
    with pytest.raises(InputError, match="belong to another network") as error:
        methods.load(tmp_path)
    one_line(error)


def test_unknown_names_are_answered_with_those_there_are() -> None:
    with pytest.raises(InputError, match="nearest-neighbour") as error:
        methods.load("omniglot-smal")
    one_line(error)
    assert {"nearest-neighbour", "hausdorff", "koch-paper", "koch-slides"} <= set(methods.names())


def test_kochs_weights_are_not_bundled_and_the_remedy_is_named() -> None:
    with pytest.raises(InputError, match="handful train koch-paper") as error:
        methods.load("koch-paper")
    one_line(error)


def test_missing_weights() -> None:
    with pytest.raises(InputError, match=r"nowhere\.safetensors") as error:
        methods.load("koch-paper", "nowhere.safetensors")
    one_line(error)


class SmallTower(nn.Module):
    """Weighs the ink of two halves: the real tower's file has 78 MB."""

    size, features = 105, 4

    def __init__(self, init: str) -> None:
        super().__init__()
        self.dense = nn.Linear(2, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        halves = [part.mean((1, 2, 3)) for part in x.split(60, 2)]
        return torch.sigmoid(self.dense(torch.stack(halves, 1)))


def test_kochs_network_reads_pictures_as_its_card_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(koch_siamese, "KochTower", SmallTower)
    torch.manual_seed(1)
    network = koch_siamese.KochSiamese()
    found = {}
    for margin in (None, 0.25):
        about = card(method="koch_siamese", backbone="koch", input={"margin": margin})
        zoo.save_entry(tmp_path / str(margin), about, network.state_dict())
        found[margin] = methods.load(tmp_path / str(margin), device="cpu").encode(pages())
        inputs = torch.from_numpy(np.stack([ink(page, 105, margin) for page in pages()]))
        torch.testing.assert_close(found[margin], network.tower(inputs[:, None]).detach())
    assert not torch.equal(found[None], found[0.25])


def test_kochs_network_from_a_weights_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(koch_siamese, "KochTower", SmallTower)
    for bias in (True, False):
        network = koch_siamese.KochSiamese(bias=bias)
        file = tmp_path / f"{bias}.safetensors"
        zoo.save_entry(tmp_path, card(method="koch_siamese", backbone="koch"), halves(network))
        (tmp_path / "weights.safetensors").rename(file)
        (tmp_path / "card.json").unlink()
        matcher = methods.load("koch-warm", file, device="cpu")
        assert (matcher.name, matcher.backbone) == ("koch-warm", "koch")
        features = torch.rand(3, 4)
        gaps = (features[:, None] - features).abs() @ network.alpha.half().float()
        expected = gaps + (network.beta.half().float() if bias else 0.0)
        torch.testing.assert_close(matcher.compare(features, features), expected.detach())
