from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from handful.cli.main import main


def write(
    folder: Path,
    model: str,
    shots: int,
    bits: int,
    value: float,
    near: list[float] | None = None,
    **more: Any,
) -> None:
    found: dict[str, Any] = {
        "protocol": "hashing", "model": model, "backbone": "pixels", "dataset": "zoo",
        "shots": shots, "bits": bits, "repeats": 2, "database": 24, "classes": 3, "n": 9,
        "metrics": {
            "map": value, "interval": [value - 0.1, value + 0.1], "precision@2": value / 2,
        },
        "published": [], "seed": 0,
    }  # fmt: skip
    if near is not None:
        found["metrics"]["interval@2"] = near
    name = f"hashing-zoo-{model}-{more.get('backbone', 'pixels')}-{shots}shot-{bits}bit.json"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(found | more))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    row = {"model": "ugh", "map": 0.2, "shots": 1, "bits": 16, "source": "a paper", "note": "n"}
    for model, start in (("lsh", 0.2), ("ugh", 0.3), ("handful-bits", 0.4)):
        for shots in (1, 10):
            published = [row, row | {"model": "ksh"}] if shots == 1 else []
            write(folder, model, shots, 16, start + shots / 100, published=published)
    write(folder, "ugh", 10, 8, 0.25, near=[0.2, 0.4])
    return folder


def words(results: Path, out: Path, *more: str) -> list[str]:
    return ["report", "hashing", "--results", str(results), "--out", str(out), *more]


def test_curves_over_shots_are_drawn_and_listed(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(words(results, out, "--json")) == 0
    models = ["handful-bits", "ugh", "lsh"]
    assert json.loads(capsys.readouterr().out) == {
        "figures": [str(out / "shots.png")], "models": models,
    }  # fmt: skip
    with Image.open(out / "shots.png") as picture:
        assert picture.width > picture.height > 500
    listed = json.loads((out / "shots.json").read_text())
    assert [curve["model"] for curve in listed["curves"]] == models
    points = listed["curves"][1]["points"]
    assert [(p["shots"], p["bits"], p["map"]) for p in points] == [(1, 16, 0.31), (10, 16, 0.4)]
    assert points[0]["intervals"]["map"] == pytest.approx([0.21, 0.41])
    assert [*points[0]["intervals"]] == ["map"]  # of precision there is none to draw
    # of the published rows that of a model that is shown, once
    assert [row["model"] for row in listed["published"]] == ["ugh"]
    assert listed["bits"] == 16
    assert "--figure shots" in listed["command"]


def test_curves_over_lengths_take_the_interval_of_the_repeats(
    results: Path, tmp_path: Path
) -> None:
    assert main(words(results, tmp_path, "--figure", "lengths", "--model", "ugh")) == 0
    (curve,) = json.loads((tmp_path / "lengths.json").read_text())["curves"]
    assert [p["bits"] for p in curve["points"]] == [8, 16]
    low, high = curve["points"][0]["intervals"]["precision@2"]
    assert (low, high) == (0.2, 0.4)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--bits", "32"], "no result at 32 bits"),
        (["--bits", "8"], "one point a model at 8 bits"),
        (["--model", "ksh"], "ksh: no result of it"),
        (["--dataset", "farm"], "farm: no result of it"),
        (["--shots", "5"], "is the axis of --figure shots"),
        (["--figure", "lengths", "--bits", "8"], "is the axis of --figure lengths"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_line(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], says: str
) -> None:
    out = tmp_path / "out"
    assert main(words(results, out, *argv)) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.strip().splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"backbone": "other"}, "choose one by --backbone"),
        ({"n": 8}, "measured on other images"),
        ({"metrics": {}}, "is no result of"),
    ],
)
def test_results_that_do_not_belong_together_are_refused(
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: dict[str, Any],
    says: str,
) -> None:
    write(results, "sdh", 1, 16, 0.2, **more)
    assert main(words(results, tmp_path / "out")) == 2
    assert says in capsys.readouterr().err


def test_a_folder_without_results_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(tmp_path, tmp_path / "out")) == 2
    assert "holds no hashing-*.json" in capsys.readouterr().err
