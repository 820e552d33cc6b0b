from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.answers import Region, Segmentation, Segmentations
from handful.data.segmentation.folder import read_folder
from handful.report.page import Page
from handful.report.segmentation import Segmented, colours_of, overlay


def test_each_object_has_its_own_outline_and_the_ground_stays() -> None:
    photo = np.full((40, 60, 3), 100, np.uint8)
    numbers = np.zeros((40, 60), np.int32)
    numbers[10:30, 10:25], numbers[10:30, 25:40] = 1, 2
    drawn = overlay(photo, {"cell": numbers}, {"cell": "#00ff00"})
    assert (drawn[numbers == 0] == 100).all()
    green = (drawn == (0, 255, 0)).all(2)
    assert green[10:30, 24:26].all()  # where the two touch
    assert not green[12:28, 12:23].any()
    assert (drawn[20, 17] == np.array([70, 146, 70], np.uint8)).all()


def test_a_large_picture_is_shrunk() -> None:
    numbers = np.zeros((400, 800), np.int32)
    numbers[100:300, 200:600] = 1
    drawn = overlay(np.zeros((400, 800, 3), np.uint8), {"a": numbers, "b": None},
                    colours_of(["a", "b"]), long=200)  # fmt: skip
    assert drawn.shape == (100, 200, 3)
    assert (drawn[50, 100] > 0).any()


@pytest.fixture
def segmented(tmp_path: Path) -> Segmented:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    truth = np.zeros((30, 40), np.uint8)
    truth[5:15, 5:15], truth[20:25, 20:30] = 1, 2
    photo = np.full((30, 40, 3), 80, np.uint8)
    Image.fromarray(photo).save(tmp_path / "images/a.png")
    Image.fromarray(truth).save(tmp_path / "masks/a.png")
    found = np.zeros((30, 40), np.int32)
    found[5:15, 5:20] = 1
    answer = Segmentation(str(tmp_path / "images/a.png"), (30, 40), (Region("object", 0.8, found),))
    empty = Segmentation(answer.image, (30, 40), (Region("object", 0.2, None),))
    answers = Segmentations((answer, empty), "model", "backbone", 0.5)
    return Segmented(read_folder(tmp_path), answers, (truth, truth))


def test_counts_are_pixels_over_pixels_and_objects(segmented: Segmented) -> None:
    counts = segmented.counts()
    assert [row["iou"] for row in counts["pictures"]] == [100 / 200, 0.0]
    assert counts["iou"] == 100 / (200 + 150)
    assert (counts["counted"], counts["objects"]) == (1, 4)
    assert counts["count_error"] == (0.5 + 1.0) / 2


def test_sheet_and_section_show_every_picture(segmented: Segmented, tmp_path: Path) -> None:
    segmented.draw(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 500
    html = Page("t").add(segmented.section("Segment")).html()
    assert html.count("<img") == 3
    assert "1 counted, truly 2; IoU 0.50" in html
