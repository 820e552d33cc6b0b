"""The demo's section and picture: what they count is what was answered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.answers import Label, Labels
from handful.data.support import Support
from handful.report.page import Page
from handful.report.recognition import Recognition


def labels(*answers: Label, threshold: float | None = 0.5) -> Labels:
    return Labels(answers, model="m<1>", backbone="b", threshold=threshold)


@pytest.fixture
def recognition(tmp_path: Path) -> Recognition:
    """Five queries: right, wrong, wrongly rejected, stranger rejected, stranger accepted."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(5):
        paths.append(str(tmp_path / f"q{number}.png"))
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(paths[-1])
    support = Support.from_arrays(
        [rng.integers(0, 256, (9, 9, 3), np.uint8) for _ in range(3)], ["a", "b & c", "b & c"]
    )
    given = [("a", 0.9), ("b & c", 0.8), (None, 0.3), (None, 0.2), ("a", 0.6)]
    answers = [
        Label(path, label, score, (("a", score), ("b & c", 0.1)))
        if label != "b & c"
        else Label(path, label, score, (("b & c", score), ("a", 0.1)))
        for path, (label, score) in zip(paths, given, strict=True)
    ]
    rival = [Label(path, "a", 0.5, (("a", 0.5), ("b & c", 0.4))) for path in paths]
    truth = ("a", "a", "a", None, None)
    return Recognition(support, labels(*answers), truth, labels(*rival, threshold=None))


def test_counts(recognition: Recognition) -> None:
    assert recognition.counts() == {
        "model": "m<1>",
        "backbone": "b",
        "threshold": 0.5,
        "classes": 2,
        "examples": 3,
        "queries": 5,
        "known": 3,
        "right": 1,
        "rejected": 1,
        "accuracy": 1 / 3,
        "strangers": 2,
        "strangers_rejected": 1,
        "nearest_neighbour_right": 3,
        "nearest_neighbour_accuracy": 1.0,
    }


def test_section_shows_every_query(recognition: Recognition) -> None:
    html = Page("x").add(recognition.section()).html()
    assert html.count('<div class="answer good">') == 2
    assert html.count('<div class="answer bad">') == 3
    assert html.count('<div class="none">') == 2
    assert "is a stranger" in html
    assert "1 to 2 examples" in html
    assert "m&lt;1&gt;" in html
    assert "b &amp; c" in html
    # each query, the example of each answer, each class of the support, the rival's example
    assert html.count("data:image/png") == 5 + 3 + 2 + 5
    assert html.count('style="left: 50.0%"') == 5


def test_picture(recognition: Recognition, tmp_path: Path) -> None:
    recognition.draw(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.width == 1400
        pixels = np.array(picture.convert("RGB")).reshape(-1, 3)
    for colour in ("#157347", "#c02a37"):
        wanted = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
        assert (pixels == wanted).all(1).any()
