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
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of textures, and a file that is no picture."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label, bands in (("stripes", 8), ("noise", 0)):
        (root / label).mkdir()
        for number in range(5):
            page = rng.integers(60, 200, (60, 80, 3))
            if bands:
                page[:, (np.arange(80) // bands) % 2 == 0] //= 6
            Image.fromarray(page.astype(np.uint8)).save(root / label / f"{number}.png")
    (root / "bad.jpg").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def index(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("index") / "i"
    assert main(["index", str(photos), "--out", str(where), "--model", "handful-base"]) == 0
    return where


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_contract_of_index(
    capsys: pytest.CaptureFixture[str], photos: Path, index: Path
) -> None:
    capsys.readouterr()
    answer = ask(capsys, "index", str(photos), "--out", str(index))
    assert (answer["index"], answer["images"]) == (str(index), 10)
    assert [answer[what] for what in ("added", "changed", "removed", "moved")] == [0, 0, 0, 0]
    ((path, why),) = answer["skipped"]
    assert (path, "bad.jpg" in why) == (str(photos / "bad.jpg"), False)
    assert (answer["model"], answer["backbone"]) == ("handful-base", "handful-base")


def test_the_contract_of_find(
    capsys: pytest.CaptureFixture[str], photos: Path, index: Path, tmp_path: Path
) -> None:
    like = [str(photos / "stripes" / f"{number}.png") for number in range(2)]
    answer = ask(
        capsys,
        *("find", str(index), "--like", *like, "-k", "3"),
        *("--out", str(tmp_path / "out"), "--explain", str(tmp_path / "why")),
    )
    assert (answer["search"], answer["model"], answer["backbone"]) == (
        *("exact", "handful-base", "handful-base"),
    )
    assert {row["image"] for row in answer["results"]} == {
        str(photos / "stripes" / f"{number}.png") for number in (2, 3, 4)
    }
    for row in answer["results"]:
        assert set(row) == {"image", "score", "distance"}
        assert 0 <= row["score"] <= 1
    with Path(answer["table"]).open(newline="") as file:
        assert [row["image"] for row in csv.DictReader(file)] == [
            row["image"] for row in answer["results"]
        ]
    assert "data:image/png" in Path(answer["report"]).read_text()
    assert len(answer["explanations"]) == 3
    for path in (answer["picture"], *answer["explanations"]):
        with Image.open(path) as picture:
            assert picture.format == "PNG"


def test_bits_unlike_and_radius(
    capsys: pytest.CaptureFixture[str], photos: Path, index: Path
) -> None:
    like, unlike = str(photos / "stripes" / "0.png"), str(photos / "noise")
    codes = ask(capsys, "find", str(index), "--like", like, "--bits", "16", "-k", "4")
    assert (codes["search"], codes["bits"], len(codes["results"])) == ("codes", 16, 4)
    assert all(row["distance"] == int(row["distance"]) for row in codes["results"])
    fewer = ask(capsys, "find", str(index), "--like", like, "--unlike", unlike)
    assert {Path(row["image"]).parent.name for row in fewer["results"]} == {"stripes"}
    assert len(fewer["not_examples"]) == 5
    assert ask(capsys, "find", str(index), "--like", like, "--radius", "0")["results"] == []
    assert main(["find", str(index), "--like", like, "--radius", "0"]) == 0
    assert "nothing found in 10 pictures" in capsys.readouterr().out


def test_what_is_wrong_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], photos: Path, index: Path, tmp_path: Path
) -> None:
    like = str(photos / "stripes" / "0.png")
    for arguments, part in (
        (["find", str(tmp_path), "--like", like], "no index here"),
        (["find", str(index), "--like", str(photos / "bad.jpg")], "bad.jpg"),
        (["find", str(index), "--like", like, "-k", "0"], "1 match"),
        (["index", str(tmp_path), "--out", str(tmp_path / "i")], "no images"),
        (["index", str(photos), "--out", str(index), "--model", "omniglot-small"], "not omniglot"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert part in error
        assert error.count("\n") == 1
