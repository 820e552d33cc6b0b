from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from handful.answers import MaskCheck, MaskSuspect, Region, Segmentation, Segmentations


def two() -> Segmentations:
    numbers = np.zeros((4, 5), np.int32)
    numbers[0, :2] = 1
    numbers[3, 3:] = 2
    first = Segmentation("a.png", (4, 5), (Region("cell", 0.9, numbers), Region("dust", 0.1, None)))
    second = Segmentation(None, (2, 2), (Region("cell", 0.4, None), Region("dust", 0.2, None)))
    return Segmentations((first, second), "m", "b", 0.5, "as asked", (("c.png", "empty"),), ("w",))


def test_area_is_the_share_of_masked_pixels() -> None:
    cell, dust = two()[0]
    assert cell.mask is not None
    assert cell.mask.sum() == 4
    assert (cell.area, cell.objects, cell.present) == (4 / 20, 2, True)
    assert (dust.mask, dust.area, dust.objects, dust.present) == (None, 0.0, 0, False)


def test_json_has_the_fields_of_the_command_and_no_pixels() -> None:
    value = json.loads(json.dumps(two().to_json([{"cell": "out/a.png"}, {}])))
    assert value["results"][0] == {
        "image": "a.png",
        "classes": [
            {
                "label": "cell",
                "mask": "out/a.png",
                "area": 0.2,
                "score": 0.9,
                "present": True,
                "objects": 2,
            },
            {
                "label": "dust",
                "mask": None,
                "area": 0.0,
                "score": 0.1,
                "present": False,
                "objects": 0,
            },
        ],
    }
    assert value["skipped"] == [["c.png", "empty"]]
    assert (value["model"], value["threshold"], value["warnings"]) == ("m", 0.5, ["w"])


def test_csv_has_a_row_for_each_picture_and_class(tmp_path: Path) -> None:
    two().to_csv(tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["image"], r["label"], r["present"], r["objects"]) for r in rows] == [
        ("a.png", "cell", "yes", "2"),
        ("a.png", "dust", "no", "0"),
        ("", "cell", "no", "0"),
        ("", "dust", "no", "0"),
    ]
    assert float(rows[0]["area"]) == pytest.approx(0.2)


def test_answers_are_found_by_label_and_by_place() -> None:
    answers = two()
    assert answers[0]["dust"] is answers[0][1]
    assert answers[1:].results == answers.results[1:]
    with pytest.raises(KeyError):
        answers[0]["cow"]


def test_a_suspect_says_what_to_look_at() -> None:
    check = MaskCheck(0.6, 4, (MaskSuspect(2, "x.png", "cell", 0.05, 0.7),))
    assert "x.png" in check.warnings[0]
    assert "0.05" in check.warnings[0]
    assert check.to_json()["suspects"][0]["index"] == 2
