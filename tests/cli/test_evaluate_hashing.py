from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from handful import methods, zoo
from handful.cli.main import main
from handful.methods.hashing import HashLibrary

SMALL = ["--repeats", "2", "--bits", "4", "--shots", "1"]


class Pixels:
    """Stands in for any network: the picture's nine pixels."""

    batched = True
    backbone = "pixels"

    def __init__(self, name: str) -> None:
        self.name = name

    def encode(self, images: Sequence[np.ndarray]) -> Tensor:
        return torch.stack([torch.from_numpy(i.reshape(-1)).float() - 128 for i in images])

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return query @ support.mT

    def pool(self, support: Tensor) -> Tensor:
        return support.mean(-2)


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def load(name: str, *given: Any) -> Pixels:
        calls.append((name, *given))
        return Pixels(name)

    monkeypatch.setattr(methods, "load", load)
    return calls


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "zoo"
    rng = np.random.default_rng(0)
    for part, count in {"train": 8, "test": 3}.items():
        for c, name in enumerate(("ant", "bee", "cat")):
            (root / part / name).mkdir(parents=True)
            colours = 60 * np.random.default_rng(c).normal(size=(3, 3, 3))
            for i in range(count):
                pixels = 128 + colours + 25 * rng.normal(size=(3, 3, 3))
                picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                picture.save(root / part / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = np.random.default_rng(0).normal(size=(40, 27)).astype(np.float32)
    folder = tmp_path_factory.mktemp("library") / "own"
    card = zoo.Card(
        name="own",
        title="Own",
        task="find",
        method="ugh",
        backbone="pixels",
        licence="Apache-2.0",
        commercial_use=True,
        data="chance",
        limits="all",
    )
    HashLibrary(weights, np.zeros(40, np.float32)).save(folder, card)
    return folder


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["evaluate", "hashing", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["evaluate", "hashing", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


def test_the_contract(
    capsys: pytest.CaptureFixture[str], root: Path, library: Path, loaded: list[Any]
) -> None:
    options = ["--dataset", "cifar10", "--root", str(root), "--library", str(library)]
    answer = ask(capsys, *options, *SMALL)
    assert {"protocol", "model", "backbone", "n", "metrics", "published", "seconds"} <= set(answer)
    assert (answer["protocol"], answer["model"], answer["backbone"]) == ("hashing", "ugh", "pixels")
    assert (answer["dataset"], answer["shots"], answer["bits"]) == ("cifar10", 1, 4)
    assert (answer["repeats"], answer["n"], answer["database"]) == (2, 9, 24)
    assert {"map", "precision@2"} <= set(answer["metrics"])
    assert answer["metrics"]["map"] > 0.5
    assert loaded == [("handful-base", None, "auto", None, None)]


def test_any_network_and_any_folder(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any]
) -> None:
    options = ["--dataset", "folder", "--root", str(root / "train"), "--model", "lsh"]
    options += ["--backbone", "resnet18", "--queries-per-class", "2", "--size", "64"]
    options += ["--ten-crops"]
    answer = ask(capsys, *options, *SMALL)
    assert (answer["dataset"], answer["n"], answer["database"]) == ("zoo-train", 6, 18)
    assert answer["crops"] == 10
    assert loaded == [("prototypes:resnet18", None, "auto", 64, None)]


def test_all_models_in_several_settings(
    capsys: pytest.CaptureFixture[str], root: Path, library: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    options = ["--dataset", "cifar10", "--root", str(root), "--repeats", "2", "--bits", "4"]
    models = ["ugh", "cca-itq", "pca-itq"]
    options += ["--shots", "1", "3", "--per-repeat", str(rows), "--library", str(library)]
    answers = ask(capsys, *options, "--model", *models)
    assert [(a["model"], a["shots"]) for a in answers] == [(m, s) for s in (1, 3) for m in models]
    assert answers[0]["metrics"]["against"].keys() == {"cca-itq", "pca-itq"}
    with rows.open(newline="") as lines:
        assert len([*csv.DictReader(lines)]) == 2 * len(answers)


def test_a_record_names_what_made_it(
    capsys: pytest.CaptureFixture[str], root: Path, library: Path, tmp_path: Path
) -> None:
    base = ["--dataset", "cifar10", "--root", str(root), "--library", str(library)]
    out = ["--out", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    answers = ask(capsys, *base, *SMALL, *out, "--model", "ugh", "lsh")
    path = tmp_path / "results/hashing-cifar10-ugh-handful-base-1shot-4bit.json"
    stored = json.loads(path.read_text())
    assert {key: stored[key] for key in answers[0]} == answers[0]
    assert stored["sha256"] == zoo.card(library).sha256
    assert stored["command"] == (
        "handful evaluate hashing --dataset cifar10 --root zoo --model ugh --backbone handful-base"
        " --shots 1 --bits 4 --repeats 2 --library own --seed 0"
    )
    other = json.loads(
        (path.parent / "hashing-cifar10-lsh-handful-base-1shot-4bit.json").read_text()
    )
    assert other["sha256"] is None
    words = stored["command"].split()[3:]
    words[words.index("zoo")] = str(root)
    words[words.index("own")] = str(library)
    again = ask(capsys, *words, "--cache", str(tmp_path / "cache"))
    assert again["metrics"]["map"] == answers[0]["metrics"]["map"]


def test_the_papers_words_stand_beside(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    options = ["--dataset", "cifar10", "--root", str(root), "--model", "cca-itq", "lsh"]
    options += ["--unlabelled", str(root)]
    assert main(["evaluate", "hashing", *options, "--repeats", "2", "--shots", "1"]) == 0
    text = capsys.readouterr().out
    for word in (
        "cifar10, pixels: 9 queries, 24 images",
        "less the first",
        "ugh: 20.80 mAP",
        "lsh",
    ):
        assert word in text


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--model", "ugh"], "ugh: needs a library of hash functions; give --library"),
        (["--model", "best"], "model 'best'"),
        (["--model", "lsh", "--shots", "50"], "50 shots"),
        (["--model", "lsh", "--library", "nowhere"], "no model 'nowhere'"),
        (["--model", "lsh", "dbc", "--out", "x.json"], "several results need a folder"),
    ],
)
def test_what_cannot_be_measured_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], root: Path, options: list[str], why: str
) -> None:
    assert why in refuse(capsys, "--dataset", "cifar10", "--root", str(root), *options)
