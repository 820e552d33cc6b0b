from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from handful.cli.main import main
from handful.methods import segmenters
from handful.methods.segmenter import Answer, Features, Mask


class ByColour:
    """Find pixels nearest to the mean colour of the examples; say where, and how near."""

    name, backbone, threshold = "by-colour", "none", 0.5

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Features]:
        return [{"rgb": torch.from_numpy(i.transpose(2, 0, 1).astype(np.float32))} for i in images]

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> Tensor:
        marked = [
            f["rgb"][:, torch.from_numpy(_fit(m, f["rgb"].shape[1]) == 1)].mean(1)
            for f, m in zip(features, masks, strict=True)
        ]
        return torch.stack(marked).mean(0)

    def answer(self, query: Features, states: Sequence[Tensor]) -> Answer:
        masks = (self.attention(query, states) > 0.8).float()
        return Answer(masks, torch.ones(len(states)))

    def attention(self, query: Features, states: Sequence[Tensor]) -> Tensor:
        away = [(query["rgb"] - state[:, None, None]).abs().sum(0) for state in states]
        return torch.stack([(1 - part / 255).clamp(min=0) for part in away])

    def energy(
        self, query: Features, state: Tensor
    ) -> Mapping[str, Mapping[int, NDArray[np.float32]]]:
        return {"cosine": {8: self.attention(query, [state])[0].numpy()}}


def _fit(mask: Mask, side: int) -> NDArray[np.uint8]:
    resized: NDArray[np.uint8] = np.asarray(Image.fromarray(mask).resize((side, side), 0))
    return resized


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of two colours side by side, and of one of them alone."""
    root = tmp_path_factory.mktemp("halves")
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    halves = [(1, 2), (2, 1), (1, 2), (1, 0), (2, 0), (0, 1), (0, 2), (1, 0), (2, 0)]
    for i, (left, right) in enumerate(halves):
        values = np.zeros((48, 64), np.uint8)
        values[4:40, 2:30], values[8:44, 34:] = left, right
        colours = np.array([[90, 90, 90], [220, 0, 0], [0, 200, 0]], np.uint8)
        Image.fromarray(values).save(root / f"masks/{i}.png")
        Image.fromarray(colours[values]).save(root / f"images/{i}.png")
    (root / "classes.txt").write_text("1 red\n2 green\n")
    return root


@pytest.fixture
def by_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any) -> ByColour:
        return ByColour()

    monkeypatch.setattr(segmenters, "load", load)


def words(root: Path, out: Path, *argv: str) -> list[str]:
    base = ["report", "segmentation", "--dataset", "folder", "--root", str(root)]
    return [*base, "--out", str(out), "--seen", "64", *argv]


@pytest.mark.parametrize(
    ("figure", "options", "shown"),
    [
        ("tiles", [], 6),
        ("tiles", ["--shots", "2", "--skip", "3"], 6),
        ("conditioning", [], 6),
        ("mask-swap", ["--episodes", "2"], 4),
        ("shots", ["--shots", "3", "--episodes", "2"], 4),
        ("sides", ["--shots", "2", "--episodes", "2"], 4),
        ("energy", ["--episodes", "1"], 1),
        ("attention", ["--episodes", "2"], 2),
        ("attention", ["--ways", "2", "--episodes", "2"], 4),
    ],
)
def test_figures_are_drawn_and_listed(
    by_colour: None,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    figure: str,
    options: list[str],
    shown: int,
) -> None:
    assert main(words(root, tmp_path, "--figure", figure, *options, "--json")) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "figures": [str(tmp_path / f"{figure}.png")], "model": "by-colour", "shown": shown,
    }  # fmt: skip
    with Image.open(tmp_path / f"{figure}.png") as picture:
        assert picture.width > 200
    listed = json.loads((tmp_path / f"{figure}.json").read_text())
    assert len(listed["shown"]) == shown
    assert "report segmentation --dataset folder" in listed["command"]
    for row in listed["shown"]:
        assert row["iou"] > 0.9  # the colours are pure
        assert row["query"] not in row["support"]
        assert len(row["support"]) == row["shots"]
    if figure in ("conditioning", "mask-swap"):
        first, second = listed["shown"][:2]
        assert first["query"] == second["query"]
        assert {first["class"], second["class"]} == {"red", "green"}
        assert (first["support"] == second["support"]) == (figure == "mask-swap")
    if "--skip" in options:
        assert [row["episode"] for row in listed["shown"]] == [*range(3, 9)]
    if figure == "shots":
        few, more = listed["shown"][:2]
        assert more["support"][:1] == few["support"]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--figure", "energy"], "give --model mshnet"),
        (["--figure", "attention"], "give --model attention"),
        (["--figure", "shots", "--shots", "1"], "give --shots 2 or more"),
        (["--ways", "2"], "by --figure attention alone"),
        (["--model", "whole", "centre"], "a figure shows one model"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], says: str
) -> None:
    argv = argv if "--model" in argv else [*argv, "--model", "centre"]
    assert main(words(root, tmp_path, *argv)) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
