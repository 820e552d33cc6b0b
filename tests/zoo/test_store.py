"""Cards and weights: written, read back, and refused where they do not fit."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch

from handful import zoo
from handful.errors import InputError
from handful.zoo import store


@pytest.fixture
def card() -> zoo.Card:
    return zoo.Card(
        name="tiny",
        title="Tiny",
        task="recognize",
        method="prototypes",
        backbone="compact",
        licence="Apache-2.0",
        commercial_use=True,
        data="ten characters",
        files=zoo.LearnedFrom(list="lists/tiny.txt", count=10),
        calibration={"slope": 1.0, "offset": 0.0, "temperature": 1.0, "reject": 0.5, "verify": 0.5},
        figures=(zoo.Figure(result="omniglot-tiny", metric="accuracy", value=0.5),),
        limits="everything",
    )


TENSORS = {"w": torch.arange(6).reshape(2, 3).half(), "b": torch.tensor([0.25])}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(a[key], b[key]) and a[key].dtype == b[key].dtype for key in a
    )


def test_own_entry_is_read_back(card: zoo.Card, tmp_path: Path) -> None:
    written = zoo.save_entry(tmp_path / "tiny", card, TENSORS)
    file = tmp_path / "tiny" / "weights.safetensors"
    assert written.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert written.bytes == len(file.read_bytes())
    assert zoo.card(tmp_path / "tiny") == written
    assert zoo.digest(tmp_path / "tiny") == written.sha256
    light = zoo.card("mshnet-light").sha256
    both = f"mshnet-light+nearest-neighbour+unknown+{tmp_path / 'tiny'}"
    assert zoo.digest(both) == f"{light}+{written.sha256}"
    assert zoo.weights(tmp_path / "tiny") == file
    assert same(zoo.load_weights(tmp_path / "tiny"), TENSORS)
    assert same(zoo.load_weights(file), TENSORS)


def test_transposed_tensors_keep_their_values(card: zoo.Card, tmp_path: Path) -> None:
    zoo.save_entry(tmp_path, card, {"w": TENSORS["w"].T})
    assert same(zoo.load_weights(tmp_path), {"w": TENSORS["w"].T})


def test_bundled_entry_is_found_by_name(
    card: zoo.Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUNDLED", tmp_path)
    try:
        written = zoo.bundle(card, TENSORS, root=tmp_path)
        assert zoo.cards() == {"tiny": written}
        assert same(zoo.load_weights("tiny"), TENSORS)
    finally:
        monkeypatch.undo()
        zoo.cards.cache_clear()


def test_changed_weights_are_refused_naming_both_digests(card: zoo.Card, tmp_path: Path) -> None:
    written = zoo.save_entry(tmp_path, card, TENSORS)
    file = tmp_path / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    now = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(InputError) as error:
        zoo.load_weights(tmp_path)
    assert written.sha256 is not None
    for part in (str(file), written.sha256, now):
        assert part in str(error.value)


def test_unknown_names_list_those_there_are() -> None:
    with pytest.raises(InputError, match=r"no model 'nope': there are .*nearest-neighbour"):
        zoo.card("nope")
    assert zoo.digest("nope") is None


def test_model_without_weights() -> None:
    with pytest.raises(InputError, match="nearest-neighbour has no weights"):
        zoo.weights("nearest-neighbour")


def test_missing_file_is_named(card: zoo.Card, tmp_path: Path) -> None:
    zoo.save_entry(tmp_path, card, TENSORS)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"weights\.safetensors: missing"):
        zoo.weights(tmp_path)
    with pytest.raises(InputError, match=r"nowhere\.safetensors: no such file"):
        zoo.load_weights(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("change", [{"sha256": "abc"}, {"extra": 1}, {"licence": None}])
def test_wrong_card_is_one_line(card: zoo.Card, tmp_path: Path, change: dict[str, object]) -> None:
    value = json.loads(card.model_dump_json()) | change
    (tmp_path / "card.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=f"card.json: is no model card .{next(iter(change))}") as e:
        zoo.card(tmp_path)
    assert "\n" not in str(e.value)


def test_foreign_tensors_are_read_and_code_is_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": TENSORS}, tmp_path / "good.pth")
    assert same(zoo.load_weights(tmp_path / "good.pth"), TENSORS)

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.mkdir, (Path(tmp_path / "ran"),)  # type: ignore[return-value]

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"w": Evil()}, protocol=2))
    torch.save({"w": Evil()}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(InputError, match="holds more than tensors"):
            zoo.load_weights(tmp_path / name)
    assert not (tmp_path / "ran").exists()

    torch.save({"w": TENSORS["w"], "epoch": 3}, tmp_path / "mixed.pth")
    with pytest.raises(InputError, match="no dictionary of tensors"):
        zoo.load_weights(tmp_path / "mixed.pth")


def test_damaged_safetensors_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"not tensors at all")
    with pytest.raises(InputError, match=r"w\.safetensors: is no safetensors file") as error:
        zoo.load_weights(tmp_path / "w.safetensors")
    assert "\n" not in str(error.value)


def test_every_bundled_card_names_itself_and_has_its_weights() -> None:
    for name, entry in zoo.cards().items():
        assert (store.BUNDLED / "cards" / f"{name}.json").is_file()
        if entry.weights:
            assert zoo.weights(name).stat().st_size == entry.bytes
