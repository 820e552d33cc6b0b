"""The fitted state of a verb: read back as written, refused where something has changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from handful import zoo
from handful.errors import InputError

TENSORS = {"features": torch.rand(3, 4, generator=torch.Generator().manual_seed(0))}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    zoo.write_fitted(tmp_path, "recognize", "nearest-neighbour", {"classes": ["a", "b"]}, TENSORS)
    return tmp_path


def test_round_trip(saved: Path) -> None:
    state, tensors = zoo.read_fitted(saved, "recognize")
    assert (state["model"], state["classes"]) == ("nearest-neighbour", ["a", "b"])
    assert torch.equal(tensors["features"], TENSORS["features"])
    assert zoo.is_fitted(saved)
    assert not zoo.is_fitted(saved / "elsewhere")


def test_another_verb_and_no_state(saved: Path) -> None:
    with pytest.raises(InputError, match="saved by recognize, not by segment"):
        zoo.read_fitted(saved, "segment")
    with pytest.raises(InputError, match="elsewhere: nothing was saved here"):
        zoo.read_fitted(saved / "elsewhere", "recognize")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"verb": "recognize"}'])
def test_damaged_state(saved: Path, text: str) -> None:
    (saved / "fitted.json").write_text(text)
    with pytest.raises(InputError, match=r"fitted\.json: damaged"):
        zoo.read_fitted(saved, "recognize")


def test_changed_tensors(saved: Path) -> None:
    file = saved / "fitted.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    with pytest.raises(InputError, match=r"fitted\.safetensors: missing or not the file"):
        zoo.read_fitted(saved, "recognize")


def test_an_own_model_that_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = zoo.card("nearest-neighbour").model_copy(update={"name": "own"})
    first = zoo.save_entry(tmp_path / "own", card, {"w": torch.zeros(2)})
    monkeypatch.chdir(tmp_path)
    zoo.write_fitted("fit", "recognize", "own", {}, TENSORS)
    monkeypatch.chdir("/")
    state, _ = zoo.read_fitted(tmp_path / "fit", "recognize")
    assert state["model"] == str(tmp_path / "own")
    second = zoo.save_entry(tmp_path / "own", card, {"w": torch.ones(2)})
    with pytest.raises(InputError, match="fitted with other weights") as error:
        zoo.read_fitted(tmp_path / "fit", "recognize")
    assert str(first.sha256) in str(error.value)
    assert str(second.sha256) in str(error.value)


def test_state_is_plain_json(saved: Path) -> None:
    state = json.loads((saved / "fitted.json").read_text())
    assert set(state) == {
        "format",
        "verb",
        "model",
        "model_sha256",
        "tensors_sha256",
        "classes",
    }
