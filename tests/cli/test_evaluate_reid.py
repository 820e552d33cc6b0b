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

from handful import methods
from handful.cli.main import main


class Photos:
    """Stands in for any model of photos."""

    batched = True
    backbone = "none"

    def __init__(self, name: str) -> None:
        self.name = name

    def encode(self, images: Sequence[np.ndarray]) -> Tensor:
        means = np.stack([image.reshape(-1, 3).mean(0) for image in images]) - 128
        return torch.nn.functional.normalize(torch.from_numpy(means).float(), dim=-1)

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return query @ support.mT


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def load(name: str, weights: Any = None, device: str = "auto", **given: Any) -> Photos:
        calls.append((name, weights, device, given))
        return Photos(name)

    monkeypatch.setattr(methods, "load", load)
    return calls


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "herd"
    rng = np.random.default_rng(0)
    for identity in range(1, 6):
        colour = rng.normal(size=3)
        for camera, folder in ((1, "query"), (2, "bounding_box_test"), (3, "bounding_box_test")):
            level = 128 + 60 * (colour + 0.4 * rng.normal(size=3)) * np.ones((6, 6, 3))
            path = root / folder / f"{identity:04d}_c{camera}s1_000001_00.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(level.clip(0, 255).astype(np.uint8)).save(path)
    (root / "query/0005_c2s1_000002_00.png").write_bytes(b"no photo")
    return root


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["evaluate", "reid", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_contract(capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any]) -> None:
    answer = ask(capsys, "--root", str(root), "--layout", "market", "--size", "96")
    assert {"protocol", "model", "backbone", "n", "metrics", "published", "seconds"} <= set(answer)
    assert (answer["protocol"], answer["model"]) == ("reid", "handful-base")
    assert (answer["n"], answer["cameras"], answer["size"]) == (5, 3, 96)
    assert {"cmc@1", "cmc@5", "cmc@10", "map"} <= set(answer["metrics"])
    low, high = answer["metrics"]["interval"]
    assert 0 <= low <= answer["metrics"]["cmc@1"] <= high <= 1
    assert loaded == [("handful-base", None, "auto", {"size": 96})]


def test_records_and_rows_name_what_made_them(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any], tmp_path: Path
) -> None:
    options = ["--root", str(root), "--layout", "market", "--model", "one", "two"]
    rows = tmp_path / "rows.csv"
    out = ["--out", str(tmp_path / "results"), "--per-episode", str(rows), "--size", "64"]
    answers = ask(capsys, *options, *out)
    stored = json.loads((tmp_path / "results/reid-herd-two-64px.json").read_text())
    assert {key: stored[key] for key in answers[1]} == answers[1]
    assert stored["command"] == (
        "handful evaluate reid --root herd --layout market --model two --size 64"
    )
    with rows.open(newline="") as lines:
        read = list(csv.DictReader(lines))
    assert [row["model"] for row in read] == ["one"] * 5 + ["two"] * 5
    mean = np.mean([float(row["average_precision"]) for row in read[:5]])
    assert mean == pytest.approx(answers[0]["metrics"]["map"], abs=1e-6)


def test_people_get_a_table(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any]
) -> None:
    assert main(["evaluate", "reid", "--root", str(root), "--layout", "market"]) == 0
    text = capsys.readouterr().out
    assert "5 queries, 10 images searched, 5 identities, 3 cameras" in text
    assert "cmc@1" in text
    assert "skipped query/0005_c2s1_000002_00.png" in text


@pytest.mark.parametrize(
    ("layout", "why"), [("veri", "image_query: no such folder"), ("oxford", "oxford")]
)
def test_another_layout_is_one_line(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any], layout: str, why: str
) -> None:
    assert main(["evaluate", "reid", "--root", str(root), "--layout", layout]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert why in output.err
    assert output.err.count("\n") == 1
