"""Answers become JSON and CSV that other programs read back."""

from __future__ import annotations

import csv
import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from handful.answers import Label, Labels, SupportCheck, Suspect, Verification


@pytest.fixture
def answers() -> Labels:
    known = Label("a, b.png", "ka", 0.875, (("ka", 0.875), ("kha", 0.25)))
    stranger = Label(None, None, 0.125, (("kha", 0.125), ("ka", 0.0625)))
    return Labels(
        (known, stranger),
        model="m",
        backbone="b",
        threshold=0.5,
        chosen="given",
        skipped=(("x.png", "not an image"),),
        warnings=("look at y.png",),
    )


def test_json_is_the_documented_object(answers: Labels) -> None:
    assert json.loads(json.dumps(answers.to_json())) == {
        "model": "m",
        "backbone": "b",
        "threshold": 0.5,
        "chosen": "given",
        "results": [
            {
                "image": "a, b.png",
                "label": "ka",
                "score": 0.875,
                "ranking": [["ka", 0.875], ["kha", 0.25]],
            },
            {
                "image": None,
                "label": None,
                "score": 0.125,
                "ranking": [["kha", 0.125], ["ka", 0.0625]],
            },
        ],
        "skipped": [["x.png", "not an image"]],
        "warnings": ["look at y.png"],
    }


def test_boxes_and_groups_are_told_where_there_are_any(answers: Labels, tmp_path: Path) -> None:
    boxed = replace(answers[0], box=(1.0, 2.5, 3.0, 4.0))
    grouped = replace(answers[1], group="new-1")
    told = replace(answers, results=(boxed, grouped))
    first, second = told.to_json()["results"]
    assert first["box"] == [1.0, 2.5, 3.0, 4.0]
    assert "group" not in first
    assert second["group"] == "new-1"
    assert "box" not in second
    told.to_csv(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [rows[0][name] for name in ("x", "y", "width", "height")] == ["1", "2.5", "3", "4"]
    assert [rows[1][name] for name in ("x", "width", "group")] == ["", "", "new-1"]
    assert [row["nearest"] for row in rows] == ["ka", "kha"]
    answers.to_csv(tmp_path / "b.csv")
    header = (tmp_path / "b.csv").read_text().splitlines()[0]
    assert header == "image,label,score,nearest,second,second_score"


def test_csv_is_read_back_with_awkward_names(answers: Labels, tmp_path: Path) -> None:
    answers.to_csv(tmp_path / "out" / "labels.csv")
    with (tmp_path / "out" / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {
            "image": "a, b.png",
            "label": "ka",
            "score": "0.875",
            "nearest": "ka",
            "second": "kha",
            "second_score": "0.25",
        },
        {
            "image": "",
            "label": "",
            "score": "0.125",
            "nearest": "kha",
            "second": "ka",
            "second_score": "0.0625",
        },
    ]


def test_labels_are_a_sequence(answers: Labels) -> None:
    assert len(answers) == 2
    assert [answer.label for answer in answers] == ["ka", None]
    assert answers.labels == ("ka", None)
    assert answers[-1].nearest == "kha"
    tail = answers[1:]
    assert isinstance(tail, Labels)
    assert tail.results == answers.results[1:]
    assert tail.threshold == 0.5


def test_answers_cannot_be_changed(answers: Labels) -> None:
    with pytest.raises(FrozenInstanceError):
        answers.model = "other"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        answers[0].score = 1.0  # type: ignore[misc]


def test_verification_and_check_as_json() -> None:
    verification = Verification(True, 0.75, 0.5, "m", "b", "given")
    assert verification.to_json() == {
        "same": True,
        "score": 0.75,
        "threshold": 0.5,
        "model": "m",
        "backbone": "b",
        "chosen": "given",
    }
    suspect = Suspect(3, None, "ka", "kha", 0.9, 0.2)
    assert str(suspect) == "example 3: given as 'ka', looks like 'kha' (0.90 against 0.20)"
    check = SupportCheck(0.75, 4, (suspect,)).to_json()
    assert check["accuracy"] == 0.75
    assert check["suspects"][0]["looks_like"] == "kha"
