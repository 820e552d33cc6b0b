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
from handful.cli.measuring import chosen_models

SMALL = ["--ways", "2", "--episodes", "20"]


class Photos:
    """Stands in for any model of photos; remembers how it was loaded."""

    batched = True
    backbone = "none"

    def __init__(self, name: str, *loading: Any) -> None:
        self.name, self.loading = name, loading

    def encode(self, images: Sequence[np.ndarray]) -> Tensor:
        means = np.stack([image.reshape(-1, 3).mean(0) for image in images]) - 128
        return torch.nn.functional.normalize(torch.from_numpy(means).float(), dim=-1)

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return query @ support.mT

    def pool(self, support: Tensor) -> Tensor:
        return support.mean(-2)


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
    root = tmp_path_factory.mktemp("data") / "zoo"
    rng = np.random.default_rng(0)
    for name in ("ant", "bee", "cat", "dog"):
        (root / name).mkdir(parents=True)
        colour = rng.normal(size=3)
        for i in range(5):
            level = 128 + 60 * (colour + 0.4 * rng.normal(size=3)) * np.ones((6, 6, 3))
            Image.fromarray(level.clip(0, 255).astype(np.uint8)).save(root / f"{name}/{i}.png")
    (root.parent / "split.txt").write_text("# class: role\nant test\nbee test\ncat train\n")
    return root


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["evaluate", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["evaluate", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


def test_the_contract_of_fewshot(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any]
) -> None:
    answer = ask(capsys, "fewshot", "--root", str(root), *SMALL, "--shots", "3")
    assert {"protocol", "model", "backbone", "n", "metrics", "published", "seconds"} <= set(answer)
    assert (answer["protocol"], answer["model"]) == ("fewshot", "handful-base")
    assert (answer["ways"], answer["shots"], answer["episodes"]) == (2, 3, 20)
    assert (answer["n"], answer["head"]) == (20 * 2 * 2, "logistic")
    low, high = answer["metrics"]["interval"]
    assert 0 <= low <= answer["metrics"]["accuracy"] <= high <= 1
    assert loaded == [("handful-base", None, "auto", {})]


def test_the_contract_of_retrieval(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any]
) -> None:
    answer = ask(capsys, "retrieval", "--root", str(root), "--size", "96", "--device", "cpu")
    assert {"protocol", "model", "backbone", "n", "metrics", "published", "seconds"} <= set(answer)
    assert (answer["protocol"], answer["n"], answer["size"]) == ("retrieval", 20, 96)
    recalls = [answer["metrics"][f"recall@{k}"] for k in (1, 2, 4, 8)]
    assert recalls == sorted(recalls)
    assert loaded == [("handful-base", None, "cpu", {"size": 96})]


def test_the_classes_of_a_role(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any]
) -> None:
    options = ["--root", str(root), "--classes-file", str(root.parent / "split.txt")]
    test = ask(capsys, "retrieval", *options)
    assert (test["classes"], test["n"], test["role"]) == (2, 10, "test")
    line = refuse(capsys, "retrieval", *options, "--role", "train")
    assert "2 classes with images are needed, it has only cat" in line
    assert "'validation'; there are test, train" in refuse(
        capsys, "fewshot", *options, "--role", "validation"
    )
    assert "give --classes-file too" in refuse(
        capsys, "retrieval", "--root", str(root), "--role", "test"
    )


def test_records_name_what_made_them(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any], tmp_path: Path
) -> None:
    out = ["--out", str(tmp_path / "results"), "--size", "64", "--backbone-weights", "/x/net.pth"]
    split = ["--classes-file", str(root.parent / "split.txt")]
    answer = ask(capsys, "fewshot", "--root", str(root), *SMALL, *split, *out)
    file = tmp_path / "results/fewshot-zoo-handful-base-2way-1shot-test-64px.json"
    stored = json.loads(file.read_text())
    assert {key: stored[key] for key in answer} == answer
    assert stored["command"] == (
        "handful evaluate fewshot --root zoo --classes-file split.txt --role test --model"
        " handful-base --backbone-weights net.pth --size 64 --ways 2 --shots 1 --queries 15"
        " --episodes 20 --head auto --seed 0"
    )
    ask(capsys, "retrieval", "--root", str(root), "--out", str(tmp_path / "results"))
    stored = json.loads((tmp_path / "results/retrieval-zoo-handful-base.json").read_text())
    assert stored["command"] == "handful evaluate retrieval --root zoo --model handful-base"


def test_the_command_of_a_record_measures_the_same(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any], tmp_path: Path
) -> None:
    out = str(tmp_path / "first.json")
    options = ["--root", str(root), *SMALL, "--seed", "7", "--head", "nearest", "--out", out]
    first = ask(capsys, "fewshot", *options)
    words = json.loads(Path(out).read_text())["command"].split()
    words[words.index("zoo")] = str(root)
    assert ask(capsys, *words[2:])["metrics"] == first["metrics"]


def test_several_models_and_a_row_an_episode(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    options = ["--root", str(root), *SMALL, "--per-episode", str(rows), "--model", "one", "two"]
    answers = ask(capsys, "fewshot", *options)
    assert [answer["model"] for answer in answers] == ["one", "two"]
    with rows.open(newline="") as lines:
        read = list(csv.DictReader(lines))
    assert [row["model"] for row in read] == ["one"] * 20 + ["two"] * 20
    mean = np.mean([float(row["accuracy"]) for row in read[:20]])
    assert mean == pytest.approx(answers[0]["metrics"]["accuracy"], abs=1e-6)


def test_people_get_a_table(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in "ab":
        for i in range(2):
            Image.new("RGB", (4, 4), (i, 99, 0)).save(tmp_path / name / f"{i}.png")
    (tmp_path / "a/2.png").write_bytes(b"no photo")
    assert main(["evaluate", "fewshot", "--root", str(tmp_path), *SMALL]) == 0
    text = capsys.readouterr().out
    assert "2-way 1-shot, 20 episodes, 4 images of 2 classes" in text
    assert "skipped a/2.png: " in text
    assert main(["evaluate", "retrieval", "--root", str(root)]) == 0
    text = capsys.readouterr().out
    for word in ("recall@1", "95 % interval", "recall@8", "map@r", "handful-base"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_model_of_the_zoo_is_loaded(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    answer = ask(capsys, "fewshot", "--root", str(root), *SMALL, "--model", "nearest-neighbour")
    assert (answer["model"], answer["head"]) == ("nearest-neighbour", "own")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["fewshot", "--root", "nowhere"], "nowhere: no such folder"),
        (["retrieval", "--root", "nowhere"], "nowhere: no such folder"),
        (["fewshot", "--root", ".", "--ways", "1"], "--ways"),
        (["fewshot", "--root", ".", "--episodes", "1"], "--episodes"),
        (["fewshot", "--root", ".", "--head", "svm"], "--head"),
    ],
)
def test_what_cannot_be_measured_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    assert why in refuse(capsys, *arguments)


def test_too_many_ways_name_the_folder(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[Any]
) -> None:
    line = refuse(capsys, "fewshot", "--root", str(root), "--ways", "4", "--shots", "5")
    assert f"{root}: 0 classes have more than 5 images" in line


def test_all_means_those_for_one_kind_of_picture() -> None:
    photos, drawings = chosen_models(["all"], "photos"), chosen_models(["all"], "drawings")
    assert "colour-histogram" in photos
    assert {"nearest-neighbour", "hausdorff"} <= set(drawings)
    assert not set(photos) & set(drawings)
    assert chosen_models(["x", "all"], "photos") == ["x", *photos]


def test_a_manifest_is_a_root(
    capsys: pytest.CaptureFixture[str], root: Path, loaded: list[tuple[Any, ...]]
) -> None:
    lines = [
        f"{root.name}/{path.parent.name}/{path.name},{path.parent.name},0,0,4,4,burst {path.stem}"
        for path in sorted(root.glob("*/*.png"))
    ]
    manifest = root.parent / "manifest.csv"
    manifest.write_text("\n".join(["path,label,x,y,width,height,group", *lines]))
    found = ask(capsys, "retrieval", "--root", str(manifest))
    assert (found["n"], found["images"], found["groups"]) == (20, 20, 5)
    shots = ask(capsys, "fewshot", "--root", str(manifest), *SMALL)
    assert shots["groups"] == 5
    manifest.write_text("path\nzoo/ant/0.png\n")
    assert "no row has a label" in refuse(capsys, "retrieval", "--root", str(manifest))


def test_a_published_set_brings_its_classes_and_lengths(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Two classes of Stanford Online Products, in its layout; its papers report other lengths."""
    lines = ["image_id class_id super_class_id path"]
    for number in range(6):
        name = f"lamp_final/{number}.JPG"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pixels = np.full((40, 60, 3), 40 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        lines.append(f"{number + 1} {1 + number // 3} 1 {name}")
    for part in ("train", "test"):
        (tmp_path / f"Ebay_{part}.txt").write_text("\n".join(lines) + "\n")
    arguments = ["evaluate", "retrieval", "--root", str(tmp_path), "--layout", "sop", "--json"]
    assert main([*arguments, "--model", "colour-histogram"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"recall@1", "recall@10", "recall@100", "recall@1000"} <= set(found["metrics"])
    assert (found["n"], found["classes"]) == (6, 2)
    # so few photos are not what was published
    assert found["published"] == []
