"""From a recipe to an entry of the zoo, by a real training of seconds; killed and resumed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from handful import methods, zoo
from handful.errors import InputError
from handful.files import sha256
from handful.training.recipe import Recipe, read_recipe
from handful.training.run import run_recipe

TINY = [
    "validation=[Abra, Cebra]",
    "loop.steps=6",
    "loop.validate_every=2",
    "loop.precision=32-true",
    "options.network={size: 16, widths: [4, 6], depths: [1, 1], views: 2}",
    "options.batch=16",
    "options.members=4",
    "options.validation_trials=40",
]


def tiny(*more: str) -> Recipe:
    return read_recipe("omniglot-small", [*TINY, *more])


@pytest.fixture(scope="module")
def trained(background_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_recipe(tiny(), background_root, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def pages(background_root: Path) -> list[np.ndarray]:
    files = sorted((background_root / "images_background" / "Abra").rglob("*.png"))
    return [np.asarray(Image.open(file).convert("L")) for file in files]


def test_answer_and_files(trained: dict[str, Any]) -> None:
    run = Path(trained["run"])
    assert trained["weights"] == str(run / "weights.safetensors")
    assert (trained["best"]["step"], trained["best"]["steps"]) == (6, 6)
    curve = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    assert ["6", "one_shot", f"{trained['best']['metrics']['one_shot']:.6g}"] in curve
    files = {"weights.safetensors", "card.json", "metrics.csv", "state.json", "recipe.yaml"}
    assert files <= {p.name for p in run.iterdir()}
    assert any((run / "tensorboard").iterdir())
    assert not [*run.glob(".*")]


def test_the_result_tells_the_whole_story(trained: dict[str, Any], background_root: Path) -> None:
    result = json.loads((Path(trained["run"]) / "result.json").read_text())
    assert (result["protocol"], result["model"], result["n"]) == ("training", "omniglot-small", 48)
    assert result["options"]["batch"] == 16
    assert [step for step, _ in result["curve"]["one_shot"]] == [2, 4, 6]
    assert result["curve"]["one_shot"][-1][1] == trained["best"]["metrics"]["one_shot"]
    assert {"command", "seed", "versions", "date", "device"} <= set(result)
    assert str(background_root) not in json.dumps(result)


def test_card(trained: dict[str, Any], background_root: Path) -> None:
    run = Path(trained["run"])
    card = zoo.card(run)
    assert card.sha256 == sha256(trained["weights"])
    assert card.bytes == Path(trained["weights"]).stat().st_size
    assert (card.name, card.method, card.seed) == ("omniglot-small", "prototypes", 0)
    # trained on the two alphabets that are not validated on
    assert card.files is not None
    assert card.files.count == 2 * 6 * 4
    listed = (run / card.files.list).read_text()
    assert "Bebra" in listed
    assert "Abra" not in listed
    assert str(background_root) not in (run / "card.json").read_text()


def test_the_entry_loads_by_directory_and_by_weights(
    trained: dict[str, Any], pages: list[np.ndarray]
) -> None:
    by_folder = methods.load(trained["run"], device="cpu")
    by_file = methods.load("omniglot-small", trained["weights"], device="cpu")
    vectors = by_folder.encode(pages)
    assert vectors.shape == (24, 12)
    assert torch.equal(vectors, by_file.encode(pages))
    assert by_folder.calibration == by_file.calibration
    assert by_folder.calibration is not None


def test_the_kept_weights_are_the_average_in_half_precision(trained: dict[str, Any]) -> None:
    from safetensors.torch import load_file

    run = Path(trained["run"])
    kept, state = load_file(trained["weights"]), load_file(next(run.glob("state-*")))
    for name, value in kept.items():
        average = state[f"average/network.{name}"]
        expected = average.half() if average.is_floating_point() else average
        assert torch.equal(value, expected)


def test_the_same_recipe_gives_the_same_weights(
    trained: dict[str, Any], background_root: Path, tmp_path: Path
) -> None:
    again = run_recipe(tiny(), background_root, tmp_path / "again")
    assert sha256(again["weights"]) == sha256(trained["weights"])
    other = run_recipe(tiny("seed=1"), background_root, tmp_path / "other")
    assert sha256(other["weights"]) != sha256(trained["weights"])


def test_kochs_network_trains_by_either_recipe(
    background_root: Path, tmp_path: Path, pages: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from handful.backbones import koch

    # a tenth of the channels: the 39 million weights are for benchmarks/
    monkeypatch.setattr(koch, "_CONVOLUTIONS", ((1, 4, 10), (4, 4, 7), (4, 4, 4), (4, 256, 4)))
    monkeypatch.setattr(koch.KochTower, "features", 16)
    settings = ["validation=[Abra, Cebra]", "loop.steps=2", "loop.validate_every=1"]
    settings += ["loop.precision=32-true", "options.batch=8", "options.validation_trials=20"]
    for name in ("koch-paper", "koch-slides", "koch-warm"):
        more = [] if name == "koch-paper" else ["options.members=2"]
        recipe = read_recipe(name, settings + more)
        answer = run_recipe(recipe, background_root, tmp_path / name)
        matcher = methods.load(name, answer["weights"], device="cpu")
        assert (matcher.name, matcher.backbone) == (name, "koch")
        features = matcher.encode(pages[:3])
        assert features.shape == (3, 16)
        assert matcher.compare(features, features).shape == (3, 3)


def test_a_baseline_is_only_calibrated(background_root: Path, tmp_path: Path) -> None:
    recipe = read_recipe("nearest-neighbour", ["validation=[Abra, Cebra]", "options.trials=40"])
    answer = run_recipe(recipe, background_root, tmp_path)
    card = zoo.card(tmp_path)
    assert (answer["weights"], card.weights, card.parameters) == (None, None, 0)
    assert card.calibration is not None
    assert card.files is not None
    assert card.files.count == 2 * 6 * 4


def test_another_recipe_does_not_go_on_with_a_run(
    trained: dict[str, Any], background_root: Path
) -> None:
    with pytest.raises(InputError, match="begun with another recipe") as error:
        run_recipe(tiny("options.rate=0.1"), background_root, Path(trained["run"]), resume=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        "loop.stepz=5",
        "loop.steps=0",
        "loop=5",
        "options.network=[1]",
        "options.bach=16",
        "task=cooking",
        "validation=[Zebra]",
        "validation=[]",
        "validation=3",
        "validation=[Abra, Bebra, Cebra, Debra]",
        "name=Own Model",
        "card.colour=red",
        "card={}",
        "card=3",
        "options.batch=20",
        "options.warmup=0",
        "options.warmup=1",
        "options.turns=3",
        "options.hand={tremble: 1}",
        "options.network={sise: 12}",
    ],
)
def test_a_recipe_that_cannot_be_is_one_line(
    background_root: Path, tmp_path: Path, change: str
) -> None:
    with pytest.raises(InputError) as error:
        run_recipe(tiny(change), background_root, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_task_that_trains_needs_a_loop(background_root: Path, tmp_path: Path) -> None:
    recipe = tiny()
    del recipe["loop"]
    with pytest.raises(InputError, match="needs a loop"):
        run_recipe(recipe, background_root, tmp_path)


def test_a_folder_with_a_run_stays_as_it_is(
    trained: dict[str, Any], background_root: Path, tmp_path: Path
) -> None:
    run = Path(trained["run"])
    before = {path: sha256(path) for path in run.rglob("*") if path.is_file()}
    for recipe in (tiny("options.rate=0.1"), read_recipe("nearest-neighbour", TINY[:1])):
        with pytest.raises(InputError, match="add --resume or name a new --out"):
            run_recipe(recipe, background_root, run)
    assert {path: sha256(path) for path in run.rglob("*") if path.is_file()} == before


def test_a_folder_that_holds_no_omniglot(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        run_recipe(tiny(), tmp_path / "nowhere", tmp_path / "run")


def test_killed_with_9_and_resumed_the_weights_are_the_same(
    background_root: Path, tmp_path: Path
) -> None:
    changes = ["loop.steps=120", "loop.validate_every=4"]
    expected = run_recipe(tiny(*changes), background_root, tmp_path / "straight")

    run = tmp_path / "killed"
    command = [sys.executable, "-m", "handful.cli.main", "train", "omniglot-small"]
    command += ["--root", str(background_root), "--out", str(run), "--set", *TINY, *changes]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # a moment somewhere in the middle, by progress: the machine may be slow or fast
    wait_for(process, run / "state.json", least=random.Random(0).randrange(4, 40))
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (run / "weights.safetensors").exists()
    assert json.loads((run / "state.json").read_text())["step"] < 120

    found = run_recipe(tiny(*changes), background_root, run, resume=True)
    assert sha256(found["weights"]) == sha256(expected["weights"])
    curves = [(tmp_path / name / "metrics.csv").read_bytes() for name in ("straight", "killed")]
    assert curves[0] == curves[1]


def wait_for(process: subprocess.Popen[bytes], state: Path, least: int) -> None:
    """Return as soon as the run has saved a step from `least` up."""
    while process.poll() is None:
        if state.exists() and json.loads(state.read_text())["step"] >= least:
            return
        time.sleep(0.001)
    pytest.fail("the run ended before it could be killed")
