"""``handful train``: what it prints, and what it refuses in one line."""

from __future__ import annotations

import json
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.cli.main import main

TINY = (
    "validation=[Abra]",
    "loop.steps=2",
    "loop.validate_every=1",
    "loop.precision=32-true",
    "options.network={size: 12, widths: [4], depths: [1], views: 1}",
    "options.batch=8",
    "options.members=2",
    "options.validation_trials=20",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three alphabets of three characters, each a bar somewhere, by two hands."""
    root = tmp_path_factory.mktemp("omniglot-py")
    for alphabet in ("Abra", "Bebra", "Cebra"):
        for character in (1, 2, 3):
            folder = root / f"images_background/{alphabet}/character{character:02d}"
            folder.mkdir(parents=True)
            for drawer in (1, 2):
                page = np.full((105, 105), 255, np.uint8)
                page[20 * character : 20 * character + 8, 10 * drawer : 90] = 0
                Image.fromarray(page).save(folder / f"{character:04d}_{drawer:02d}.png")
    return root


def train(root: Path, out: Path, *more: str, recipe: str = "omniglot-small") -> list[str]:
    return ["train", recipe, "--root", str(root), "--out", str(out), *more]


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("handful: ")
    assert output.err.count("\n") == 1
    return output.err


def test_prints_one_json_object(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(train(root, run, "--set", *TINY, "--json")) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"run", "best", "weights"}
    assert answer["run"] == str(run)
    assert answer["best"]["steps"] == 2
    assert Path(answer["weights"]).is_file()

    # ended: going on changes nothing, beginning anew is refused and leaves the run as it is
    assert main(train(root, run, "--set", *TINY, "--resume", "--json")) == 0
    again = json.loads(capsys.readouterr().out)
    assert again == answer
    assert "--resume" in refused(capsys, train(root, run, "--set", *TINY))


def test_set_may_be_given_again_and_again(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    each = [word for change in TINY for word in ("--set", change)]
    assert main(train(root, tmp_path / "run", *each)) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{tmp_path / 'run'}: step 2, one_shot ")
    assert line.count("\n") == 1


def test_the_card_tells_the_whole_command(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(train(root, run, "--set", *TINY, "seed=7")) == 0
    for file in ("card.json", "result.json"):
        found = json.loads((run / file).read_text(encoding="utf-8"))
        assert found["seed"] == 7
        words = shlex.split(found["command"])
        assert words[:3] == ["handful", "train", "omniglot-small"]
        given = [word for flag, word in pairwise(words) if flag == "--set"]
        assert given == [*TINY, "seed=7"]


def test_refusals(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert "koch-paper" in refused(capsys, train(root, run, recipe="koch"))
    assert "give key=value" in refused(capsys, train(root, run, "--set", "loop.steps"))
    assert "no YAML" in refused(capsys, train(root, run, "--set", "options.hand={"))
    assert "whole number" in refused(capsys, train(root, run, "--set", "loop.steps=1e3"))
    assert "options.bach" in refused(capsys, train(root, run, "--set", "options.bach=3"))
    assert "'Latin'" in refused(capsys, train(root, run, "--set", "validation=[Latin]"))
    assert "nowhere" in refused(capsys, train(tmp_path / "nowhere", run))
