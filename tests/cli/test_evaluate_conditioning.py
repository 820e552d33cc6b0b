from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.cli.main import main


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of a red and a green half, of either alone, and of red beside blue."""
    root = tmp_path_factory.mktemp("halves")
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    halves = [(1, 2), (1, 0), (2, 0), (1, 2), (2, 0), (1, 3), (3, 0), (1, 3)]
    for i, (left, right) in enumerate(halves):
        values = np.zeros((64, 64), np.uint8)
        values[:, :30], values[:, 34:] = left, right
        colours = np.array([[90, 90, 90], [220, 0, 0], [0, 200, 0], [0, 0, 230]], np.uint8)
        Image.fromarray(values).save(root / f"masks/{i}.png")
        Image.fromarray(colours[values]).save(root / f"images/{i}.png")
    (root / "classes.txt").write_text("1 red\n2 green\n3 blue\n")
    return root


def run(capsys: pytest.CaptureFixture[str], root: Path, *argv: str) -> Any:
    words = ["evaluate", "conditioning", "--dataset", "folder", "--root", str(root), *argv]
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_files_and_both_groups(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--classes", "red", "green", "--size", "64", "--out", str(tmp_path)]
    rows = tmp_path / "rows.csv"
    argv += ["--model", "prototypes:handful-base"]
    found = run(capsys, root, *argv, "--draws", "2", "--per-episode", str(rows))
    assert found["protocol"] == "conditioning"
    assert (found["n"], found["size"], found["shots"]) == (2, 64, 1)
    assert found["seen_classes"] == ["blue"]
    assert set(found["metrics"]["per_pair"]) == {"red + green"}
    assert set(found["metrics"]["with_seen"]["per_pair"]) == {"red + blue"}
    path = tmp_path / "conditioning-folder-prototypes-handful-base-1shot-2draws-64px.json"
    record = json.loads(path.read_text())
    assert record["metrics"] == found["metrics"]
    assert "--classes red green --size 64 --area 0.05" in record["command"]
    with rows.open() as file:
        table = list(csv.DictReader(file))
    assert {row["swap"] for row in table} == {"photo", "mask"}
    right = [int(r["right"]) for r in table if (r["swap"], r["second"]) == ("photo", "green")]
    assert np.mean(right) == found["metrics"]["share"]


def test_several_models_and_the_table_for_people(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--classes", "red", "green", "--seen-classes", "none", "--size", "64"]
    found = run(capsys, root, *argv, "--model", "centre", "whole")
    assert [result["metrics"]["share"] for result in found] == [0, 0]
    assert found[0]["metrics"]["with_seen"]["photos"] == 0
    words = ["evaluate", "conditioning", "--dataset", "folder", "--root", str(root), *argv]
    assert main([*words, "--model", "centre"]) == 0
    out = capsys.readouterr().out
    assert "2 photos of two of 2 classes" in out
    assert "red + green (2)" in out
    assert main([*words, "--area", "0.48"]) == 2
    assert "on more than 48% of its area each; name more --classes" in capsys.readouterr().err
