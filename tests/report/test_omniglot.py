from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from handful.errors import InputError
from handful.report.omniglot import GREEN, draw_training, draw_trial, draw_ways, read_curves
from handful.report.style import COLOURS


@dataclass(frozen=True)
class Curve:
    model: str
    ways: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def curve(model: str, level: float) -> Curve:
    ways = np.arange(2, 21)
    accuracy = level + (1 - level) * np.exp(-ways / 9)
    return Curve(model, ways, accuracy, accuracy - 0.03, accuracy + 0.03)


def where(path: Path, colour: str) -> NDArray[np.int64]:
    """Return the rows and columns of the pixels of exactly this colour."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    wanted = np.round(np.array(to_rgb(colour)) * 255)
    return np.argwhere((np.abs(pixels - wanted) <= 2).all(-1))


@pytest.mark.parametrize("ways", [20, 7])
def test_a_trial_outlines_the_right_and_the_chosen_image(tmp_path: Path, ways: int) -> None:
    rng = np.random.default_rng(0)
    support = list(np.where(rng.random((ways, 105, 105)) < 0.1, 0, 255).astype(np.uint8))
    path = tmp_path / "trial.png"
    draw_trial(path, support[3], support, target=6, chosen={"ours": 6, "other": 0})
    legend = Image.open(path).height - 80  # the legend's own boxes are left out
    green, ours, other = (
        points[points[:, 0] < legend] for points in (where(path, c) for c in (GREEN, *COLOURS[:2]))
    )
    # ours lies within the green frame, the other's frame lies up and left of both
    assert (green.min(0) < ours.min(0)).all()
    assert (green.max(0) > ours.max(0)).all()
    assert (other.max(0) < green.min(0)).all()


def test_every_curve_is_drawn_in_its_own_colour(tmp_path: Path) -> None:
    path = tmp_path / "deep/ways.png"
    draw_ways(path, [curve("ours", 0.9), curve("nearest-neighbour", 0.2)], "a title")
    high, low = (where(path, colour)[:, 0].mean() for colour in COLOURS[:2])
    assert high < low  # rows count downwards: the better model is further up


def test_training_curves_of_two_runs(tmp_path: Path) -> None:
    files = {}
    for name in ("first", "second"):
        files[name] = tmp_path / f"{name}.csv"
        lines = [f"{s},loss,{1 / s}\n{s},one_shot,{s / 9}" for s in range(1, 8)]
        files[name].write_text("step,name,value\n" + "\n".join(lines) + "\n")
    steps, values = read_curves(files["first"])["loss"]
    assert steps.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert values[3] == 0.25
    draw_training(tmp_path / "both.png", files)
    draw_training(tmp_path / "one.png", {"first": files["first"]})
    both, one = (Image.open(tmp_path / f"{name}.png") for name in ("both", "one"))
    assert both.size == one.size == (1840, 720)
    assert both.tobytes() != one.tobytes()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "give the folder of a training run"),
        ("a,b\n1,2\n", "not step, name, value"),
        ("step,name,value\n1,loss,high\n", "not step, name, value"),
        ("step,name,value\n", "logs nothing yet"),
    ],
)
def test_a_log_that_cannot_be_drawn_is_named(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "metrics.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"metrics\.csv: .*{why}"):
        draw_training(tmp_path / "x.png", {"run": path})
    assert not (tmp_path / "x.png").exists()
