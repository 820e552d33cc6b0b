from __future__ import annotations

import csv
import json
from pathlib import Path

from handful.answers import Match, Matches, Synced

FOUND = Matches(
    (Match("a, b.jpg", 0.9, 0.25), Match("c.jpg", 0.5, 0.75)),
    "exact",
    "handful-base",
    "handful-base",
    images=7,
    examples=("x.jpg", None),
    skipped=(("bad.jpg", "empty"),),
)


def test_json_has_what_was_found_and_how() -> None:
    value = json.loads(json.dumps(FOUND.to_json()))
    assert (value["search"], value["model"], value["backbone"]) == (
        *("exact", "handful-base", "handful-base"),
    )
    assert value["results"][1] == {"image": "c.jpg", "score": 0.5, "distance": 0.75}
    assert (value["images"], value["examples"], value["skipped"]) == (
        *(7, ["x.jpg", None]),
        [["bad.jpg", "empty"]],
    )
    assert "bits" not in value


def test_csv_is_read_back(tmp_path: Path) -> None:
    FOUND.to_csv(tmp_path / "found.csv")
    with (tmp_path / "found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["image"]) for row in rows] == [("1", "a, b.jpg"), ("2", "c.jpg")]
    assert [float(row["distance"]) for row in rows] == [0.25, 0.75]


def test_a_part_of_them_keeps_what_they_are() -> None:
    assert FOUND[1:].results == (FOUND[1],)
    assert (len(FOUND[1:]), FOUND[1:].examples) == (1, FOUND.examples)


def test_what_synchronising_did() -> None:
    found = Synced("i", 9, 4, 1, 2, 3, (("bad.jpg", "empty"),), "m", "b")
    value = json.loads(json.dumps(found.to_json()))
    names = ("index", "images", "added", "changed", "moved", "removed")
    assert [value[name] for name in names] == ["i", 9, 4, 1, 2, 3]
    assert value["skipped"] == [["bad.jpg", "empty"]]
