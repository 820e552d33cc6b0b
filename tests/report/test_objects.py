"""Objects in photos: what is counted is what was answered, and boxes have the answers' colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from handful.answers import Label, Labels
from handful.data.support import Support
from handful.report.objects import NONE, PALETTE, REJECTED, Objects
from handful.report.page import Page

GREY = 200


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """Two photos: a right and a wrong answer on one, a rejected object on the other."""
    paths = [str(tmp_path / f"photo{number}.png") for number in (0, 1)]
    for path in paths:
        Image.new("RGB", (60, 40), (GREY,) * 3).save(path)
    examples = [np.full((9, 9, 3), level, np.uint8) for level in (0, 90, 180)]
    support = Support.from_arrays(examples, ["b & c", "a", "a"])
    ranking = (("a", 0.9), ("b & c", 0.4))
    answers = (
        Label(paths[0], "a", 0.9, ranking, (4, 4, 10, 10)),
        Label(paths[0], "b & c", 0.9, ranking[::-1], (30, 10, 20, 20)),
        Label(paths[1], None, 0.2, ranking, (10, 10, 12, 8)),
    )
    return Objects(support, Labels(answers, "m<1>", "b", 0.5), ("a", "a", "b & c"))


def test_counts(objects: Objects) -> None:
    assert objects.counts() == {
        "model": "m<1>",
        "backbone": "b",
        "threshold": 0.5,
        "examples": 3,
        "photos": 2,
        "objects": 3,
        "right": 1,
        "accuracy": 1 / 3,
        "found": {"a": 1, "b & c": 1, NONE: 1},
        "confusion": {
            "a": {"a": 1, "b & c": 1, NONE: 0},
            "b & c": {"a": 0, "b & c": 0, NONE: 1},
        },
    }


def test_boxes_are_drawn_where_they_are(objects: Objects, tmp_path: Path) -> None:
    sheet = objects.sheet()
    found = {
        colour: np.argwhere((sheet == ImageColor.getrgb(colour)).all(-1))
        for colour in (*PALETTE[:2], REJECTED)
    }
    photos = np.argwhere((sheet == GREY).all(-1))
    # the first photo's corner is the first grey pixel; its boxes lie at their offsets
    corner = photos[0]
    inside = found[PALETTE[0]] - corner
    inside = inside[(inside >= 0).all(1) & (inside[:, 0] < 40)]
    assert inside.min(0).tolist() == [4, 4]
    assert inside.max(0).tolist() == [13, 13]
    crossed = found[PALETTE[1]] - corner
    assert [20, 40] in crossed[(crossed[:, 0] >= 0)].tolist()
    assert len(found[REJECTED]) > 30

    objects.draw(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (sheet.shape[1], sheet.shape[0])


def test_the_section_stands_on_a_page_and_is_escaped(objects: Objects) -> None:
    html = Page("t").add(objects.section("Objects")).html()
    assert html.count("<img ") == 3 + 2
    assert "b &amp; c" in html
    assert "b & c" not in html
    assert "<b>1 of 3</b>" in html
    assert "m&lt;1&gt;" in html
