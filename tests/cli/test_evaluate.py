from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.cli.evaluate import evaluate
from handful.cli.main import main
from handful.cli.report import report
from handful.data.omniglot import read_omniglot
from handful.data.omniglot_runs import write_runs

NEAREST = ["--model", "nearest-neighbour"]
SMALL = ["--ways", "5", "--trials", "20"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two alphabets of 20 and 21 characters by three drawers: blots at their own places."""
    root = tmp_path_factory.mktemp("omniglot-py")
    rng = np.random.default_rng(0)
    for alphabet, characters in {"Abra": 20, "Bebra": 21}.items():
        for character in range(1, characters + 1):
            folder = root / f"images_evaluation/{alphabet}/character{character:02d}"
            folder.mkdir(parents=True)
            row, column = rng.integers(20, 80, 2)
            for drawer in range(1, 4):
                page = np.full((105, 105), 255, np.uint8)
                y, x = np.array([row, column]) + rng.integers(-5, 6, 2)
                page[y : y + 12, x : x + 12] = 0
                Image.fromarray(page).save(folder / f"{character:04d}_{drawer:02d}.png")
    return root


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["evaluate", "omniglot", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["evaluate", "omniglot", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


def test_one_model_gives_one_object(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    answer = ask(capsys, "--root", str(root), *NEAREST, "--trials", "20")
    assert (answer["protocol"], answer["model"]) == ("within-alphabet", "nearest-neighbour")
    assert answer["n"] == 20
    low, high = answer["metrics"]["interval"]
    assert low <= answer["metrics"]["accuracy"] <= high
    assert set(answer["metrics"]["per_alphabet"]) == {"Abra", "Bebra"}


def test_several_models_give_a_list(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    answers = ask(capsys, "--root", str(root), *NEAREST, "nearest-neighbour", *SMALL)
    assert [a["model"] for a in answers] == ["nearest-neighbour"] * 2
    assert answers[0]["metrics"] == answers[1]["metrics"]


def test_a_file_of_episodes_is_written_then_replayed(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    file = str(tmp_path / "episodes.json")
    options = ["--root", str(root), *NEAREST, "--protocol", "random-character"]
    first = ask(capsys, *options, *SMALL, "--seed", "4", "--episodes-file", file)
    rows = str(tmp_path / "rows.csv")
    again = ask(capsys, *options, "--seed", "4", "--episodes-file", file, "--per-episode", rows)
    assert again["metrics"] == first["metrics"]
    assert again["ways"] == 5
    with Path(rows).open(newline="") as lines:
        known = [row["correct"] == "True" for row in csv.DictReader(lines) if row["truth"]]
    assert np.mean(known) == first["metrics"]["accuracy"]
    line = refuse(capsys, "--root", str(root), *NEAREST, "--episodes-file", file)
    assert "--protocol random-character" in line


def test_the_record_of_a_run(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    write_runs(read_omniglot(root), tmp_path / "all_runs", runs=2)
    options = ["--root", str(tmp_path / "all_runs"), *NEAREST, "--protocol", "lake"]
    answer = ask(capsys, *options, "--out", str(tmp_path / "results"))
    file = tmp_path / "results/lake-omniglot-nearest-neighbour.json"
    stored = json.loads(file.read_text())
    assert {key: stored[key] for key in answer} == answer
    assert stored["command"] == (
        "handful evaluate omniglot --root all_runs --protocol lake --model nearest-neighbour"
        " --seed 0"
    )
    assert (answer["n"], len(answer["published"])) == (40, 8)
    ask(capsys, "--root", str(root), *NEAREST, *SMALL, "--out", str(tmp_path / "results"))
    assert (
        tmp_path / "results/within-alphabet-omniglot-nearest-neighbour-5way-1shot.json"
    ).exists()


def test_people_get_a_table(capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path) -> None:
    write_runs(read_omniglot(root), tmp_path, runs=1)
    options = ["--root", str(tmp_path), *NEAREST, "--protocol", "lake"]
    assert main(["evaluate", "omniglot", *options]) == 0
    text = capsys.readouterr().out
    assert "20-way 1-shot, n = 20" in text
    for name in ("nearest-neighbour", "people", "modified Hausdorff distance"):
        assert name in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--root", "nowhere", *NEAREST], "nowhere: no such folder"),
        (["--root", "nowhere", *NEAREST, "--protocol", "lake"], "nowhere: not in the layout"),
        (["--root", ".", *NEAREST, "--ways", "1"], "--ways"),
        (["--root", ".", *NEAREST, "hausdorff", "--out", "x.json"], "several models need a folder"),
        (["--root", ".", *NEAREST, "hausdorff", "--weights", "w"], "belong to one model"),
        (["--root", ".", *NEAREST, "--episodes-file", "/dev/null"], "/dev/null: not JSON"),
    ],
)
def test_what_cannot_be_measured_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    assert why in refuse(capsys, *arguments)


def test_alphabets_left_out_are_said(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    assert main(["evaluate", "omniglot", "--root", str(root), *NEAREST, "--ways", "21"]) == 0
    assert "fewer than 21 characters, left out: Abra" in capsys.readouterr().err


def test_the_figures_and_their_numbers(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.csv").write_text("step,name,value\n1,loss,2\n2,loss,1\n")
    report(
        [
            *("omniglot", "--root", str(root), "--out", str(tmp_path / "out"), "--json"),
            *(*NEAREST, "hausdorff", "--trials", "30", "--run", str(run)),
        ],
        result_action="return_value",
    )
    answer = json.loads(capsys.readouterr().out)
    assert answer["models"] == ["nearest-neighbour", "hausdorff"]
    assert [Path(f).name for f in answer["figures"]] == ["trial.png", "ways.png", "training.png"]
    for figure in answer["figures"]:
        assert min(Image.open(figure).size) > 500
    numbers = json.loads((tmp_path / "out/ways.json").read_text())
    curve = numbers["curves"][0]
    evaluate(
        ["omniglot", "--root", str(root), *NEAREST, "--trials", "30", "--json"],
        result_action="return_value",
    )
    measured = json.loads(capsys.readouterr().out)["metrics"]["accuracy"]
    assert (curve["ways"][-1], curve["accuracy"][-1]) == (20, measured)
