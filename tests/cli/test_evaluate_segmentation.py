from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from handful.backbones.handful_base import HandfulBase
from handful.cli.main import main
from handful.methods import segmenters


@pytest.fixture(scope="module")
def voc_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("devkit") / "VOC2012"
    rng = np.random.default_rng(0)
    for folder in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for i in range(12):
        values = np.zeros((100, 140), np.uint8)
        top, left = rng.integers(0, 30, 2)
        values[top : top + 70, left : left + 100] = (13, 17)[i % 2]
        pixels = rng.integers(0, 256, (100, 140, 3), np.uint8)
        Image.fromarray(values).save(root / f"SegmentationClassAug/{i}.png")
        Image.fromarray(pixels).save(root / f"JPEGImages/{i}.jpg")
    names = "".join(f"{i}\n" for i in range(12))
    (root / "ImageSets/Segmentation/animals.txt").write_text(names)
    (root / "ImageSets/Segmentation/val.txt").write_text(names)
    return root


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    assert main(["evaluate", "segmentation", *argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_voc_by_a_list_of_its_own(voc_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--dataset", "voc", "--root", str(voc_root), "--split", "animals"]
    argv += ["--classes", "horse", "sheep", "--episodes", "10", "--model", "centre"]
    found = run(capsys, *argv)
    assert found["protocol"] == "segmentation"
    assert found["dataset"] == "voc"
    assert found["size"] == 241
    assert found["n"] == 10
    metrics = found["metrics"]
    assert set(metrics) >= {"miou", "fb_iou", "per_class"}
    assert set(metrics["per_class"]) == {"horse", "sheep"}
    assert metrics["miou"] == pytest.approx(np.mean(list(metrics["per_class"].values())))
    original = run(capsys, *argv, "--size", "original")
    assert original["metrics"]["miou"] == pytest.approx(metrics["miou"], abs=0.03)


def test_the_answer_for_everyone_tells_the_same(
    voc_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["evaluate", "segmentation", "--dataset", "voc", "--root", str(voc_root)]
    argv += ["--split", "animals", "--episodes", "6", "--absent", "4", "--model", "whole", "centre"]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "voc, 1-way 1-shot, 6 episodes, 2 classes, size 241" in out
    assert "whole less centre:" in out


def test_files_written_and_episodes_replayed(
    voc_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--dataset", "voc", "--root", str(voc_root), "--split", "animals"]
    files = ["--episodes-file", str(tmp_path / "e.json")]
    common = [*argv, *files, "--episodes", "8", "--size", "64", "--no-small-objects"]
    first = run(
        capsys, *common, "--model", "whole", "--out", str(tmp_path / "results"),
        "--per-episode", str(tmp_path / "rows.csv"),
    )  # fmt: skip
    again = run(capsys, *common, "--model", "whole", "--seed", "9")
    assert again["metrics"]["miou"] == first["metrics"]["miou"]
    (path,) = (tmp_path / "results").iterdir()
    assert path.name == "segmentation-voc-whole-animals-1shot-64px.json"
    record = json.loads(path.read_text())
    assert record["metrics"] == first["metrics"]
    assert "--no-small-objects" in record["command"]
    assert str(tmp_path) not in record["command"]
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    both = sum(int(row["intersection"]) for row in rows if row["class"] == "horse")
    either = sum(int(row["union"]) for row in rows if row["class"] == "horse")
    assert both / either == pytest.approx(first["metrics"]["per_class"]["horse"])


def test_several_models_answer_as_a_list_with_paired_differences(
    voc_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--dataset", "voc", "--root", str(voc_root), "--split", "animals", "--size", "64"]
    models = ["prototypes:handful-base", "centre", "whole"]
    found = run(capsys, *argv, "--episodes", "4", "--model", *models, "centre")
    assert [r["model"] for r in found] == models
    first, second = found[0]["metrics"], found[1]["metrics"]
    gain = first["differences"][0]
    assert gain["against"] == "centre"
    assert gain["miou"] == pytest.approx(first["miou"] - second["miou"])
    for option in (["--weights", "w.safetensors"], ["--out", str(tmp_path / "r.json")]):
        more = [*argv, "--model", "all", *option]
        assert main(["evaluate", "segmentation", *more]) == 2
        assert option[1] in capsys.readouterr().err


def test_all_is_every_method_that_can_be_built(
    voc_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "w.safetensors"
    state = HandfulBase().network.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, weights)
    argv = ["--dataset", "voc", "--root", str(voc_root), "--split", "animals", "--size", "64"]
    argv += ["--episodes", "2", "--model", "all", "--backbone-weights", str(weights), "--json"]
    assert main(["evaluate", "segmentation", *argv]) == 0
    printed = capsys.readouterr()
    answered = [result["model"] for result in json.loads(printed.out)]
    for method in ("dense-nearest", "dense-logistic", "fine-tuning", "cosegmentation"):
        assert f"{method}:handful-base" in answered
    assert {"prototypes:handful-base", "discriminant:handful-base", "whole"} <= set(answered)
    left_out = [line for line in printed.err.splitlines() if "left out: " in line]
    for method in ("dense-siamese", "oslsm", "mshnet"):
        assert f"{method}:handful-base" not in answered
        assert any(f"{method}:handful-base: its weights are not bundled" in x for x in left_out)
    assert len(answered) + len(left_out) == len(segmenters.names())


def test_pascal5i_stands_beside_the_published_rows(
    voc_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--dataset", "pascal5i", "--root", str(voc_root), "--fold", "3", "--classes", "sheep"]
    found = run(capsys, *argv, "--small-objects", "--episodes", "2", "--model", "whole")
    assert found["published"] == []  # not the classes of a fold: nothing to compare with
    few = ["--dataset", "pascal5i", "--root", str(voc_root), "--fold", "3", "--model", "whole"]
    assert main(["evaluate", "segmentation", *few]) == 2
    assert "0 photos show 'pottedplant'" in capsys.readouterr().err


def test_two_ways_without_masks_stand_beside_the_published_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for folder in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    for i in range(15):
        values = np.zeros((64, 64), np.uint8)
        values[8:56, 8:56] = 16 + i % 5
        pixels = rng.normal(120, 20, (64, 64, 3))
        pixels[8:56, 8:56] += 60 * np.sin(np.arange(3) + i % 5)
        Image.fromarray(values).save(tmp_path / f"SegmentationClassAug/{i}.png")
        photo = pixels.clip(0, 255).astype(np.uint8)
        Image.fromarray(photo).save(tmp_path / f"JPEGImages/{i}.jpg")
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("".join(f"{i}\n" for i in range(15)))
    argv = ["--dataset", "pascal5i", "--root", str(tmp_path), "--fold", "3", "--small-objects"]
    argv += ["--size", "64", "--episodes", "5", "--ways", "2", "--model", "attention"]
    found = run(capsys, *argv)
    assert (found["ways"], found["n"], len(found["metrics"]["per_class"])) == (2, 5, 5)
    assert 0 <= found["metrics"]["miou"] <= 1
    rows = [(row["model"], row["ways"], row["miou"]) for row in found["published"]]
    assert rows[0] == ("SAM", 2, 0.569)
    assert main(["evaluate", "segmentation", *argv, "--shots", "5"]) == 2
    assert "2 ways of 5 shots and a query need 11" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--dataset", "voc"], "give --split"),
        (["--dataset", "voc", "--split", "none"], "no such list; there are animals, val"),
        (["--dataset", "voc", "--split", "val", "--classes", "cat"], "0 photos show 'cat'"),
        (["--dataset", "voc", "--split", "val", "--classes", "unicorn"], "no class 'unicorn'"),
        (["--dataset", "voc", "--split", "val", "--size", "tall"], "is a number of pixels"),
        (["--dataset", "voc", "--split", "val", "--model", "magic"], "no such method"),
        (["--dataset", "voc", "--split", "val", "--fold", "7"], "folds 0 to 3"),
        (["--dataset", "msrc", "--split", "val"], "has no splits"),
        (["--dataset", "folder", "--fold", "1"], "has no folds"),
    ],
)
def test_wrong_options_are_one_clear_line(
    voc_root: Path, capsys: pytest.CaptureFixture[str], argv: list[str], says: str
) -> None:
    code = main(["evaluate", "segmentation", "--root", str(voc_root), *argv, "--episodes", "2"])
    assert code == 2
    err = capsys.readouterr().err.strip()
    assert says in err
    assert "\n" not in err
