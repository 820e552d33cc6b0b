from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.cli.main import main


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (root / label).mkdir()
        for number in range(3):
            page = rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)
            Image.fromarray(page).save(root / label / f"{number}.png")
    return root


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_contract_of_explain(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    anchor, like, unlike = photos / "cat/0.png", photos / "cat/1.png", photos / "dog"
    answer = ask(
        capsys,
        *("explain", str(anchor), "--like", str(like), "--unlike", str(unlike)),
        *("--out", str(tmp_path / "out")),
    )
    assert (answer["model"], answer["backbone"]) == ("handful-base", "handful-base")
    assert answer["images"] == [
        str(anchor),
        str(like),
        *(str(unlike / f"{i}.png") for i in range(3)),
    ]
    assert answer["roles"] == ["anchor", "positive", "negative", "negative", "negative"]
    assert (len(answer["similarity"]["positive"]), len(answer["similarity"]["negative"])) == (1, 3)
    assert {"before", "after", "fall", "random_fall", "ratio"} <= set(answer["evidence"])
    for path in answer["maps"]:
        with Image.open(path) as picture:
            assert (picture.size, picture.mode) == ((80, 60), "L")
    for path in (*answer["overlays"], answer["overlay"]):
        with Image.open(path) as picture:
            assert picture.format == "PNG"
    assert len(answer["maps"]) == len(answer["overlays"]) == 5


def test_explain_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    assert main(["explain", str(photos / "cat/0.png"), "--out", str(tmp_path)]) == 2
    assert "give --like or --unlike" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_contract_of_evaluate_erasing(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    split, out = tmp_path / "split.txt", tmp_path / "results"
    split.write_text("cat test\ndog test\n")
    answer = ask(
        capsys,
        *("evaluate", "erasing", "--root", str(photos), "--triplets", "2", "--size", "64"),
        *("--classes-file", str(split), "--train-role", "test", "--out", str(out)),
        *("--per-episode", str(tmp_path / "rows.csv")),
    )
    assert (answer["protocol"], answer["n"], answer["role"], answer["size"]) == (
        *("erasing", 2, "test"),
        64,
    )
    assert {"score", "difference", "gradcam", "centre", "over_gradcam"} == set(answer["metrics"])
    (path,) = out.iterdir()
    assert path.name == f"erasing-{photos.name}-handful-base-test-64px.json"
    record = json.loads(path.read_text())
    assert record["metrics"] == answer["metrics"]
    assert "--triplets 2" in record["command"]
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 3


def test_verify_shows_why(capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path) -> None:
    pair = [str(photos / "cat/0.png"), str(photos / "dog/0.png")]
    answer = ask(capsys, "verify", *pair, "--explain", str(tmp_path), "--model", "handful-base")
    plain = ask(capsys, "verify", *pair, "--model", "handful-base")
    overlay = Path(answer.pop("explanation"))
    assert answer == plain
    # both pictures side by side, above their maps
    width, height = Image.open(overlay).size
    assert overlay.parent == tmp_path
    assert min(width, height) > 300
