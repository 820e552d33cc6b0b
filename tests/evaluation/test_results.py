from __future__ import annotations

import csv
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handful import __version__
from handful.evaluation.protocols.omniglot import evaluate
from handful.evaluation.published import omniglot_rows
from handful.evaluation.results import (
    Result,
    record,
    result_path,
    write_rows,
)
from handful.provenance import command_line

RESULT = Result("lake", "m", "b", 4, {"accuracy": 0.5}, [], 1.23456, {"dataset": "omniglot"})


def test_a_record_tells_how_and_nothing_of_the_machine() -> None:
    argv = ["evaluate", "omniglot", "--root", "/home/someone/data/omniglot-py", "--seed", "3"]
    value = record(RESULT, argv, 3, "cpu")
    assert value["command"] == "handful evaluate omniglot --root omniglot-py --seed 3"
    assert value["versions"]["handful"] == __version__
    assert set(value["versions"]) == {"handful", "python", "torch", "numpy"}
    text = json.dumps(value)
    assert "someone" not in text
    assert platform.node() not in text
    assert {**value, **RESULT.to_json()} == value
    assert (value["seed"], value["device"], len(value["date"])) == (3, "cpu", 10)


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("/a/b/c", "c"),
        ("../x/runs/", "runs"),
        ("--out=/a/b.json", "--out=b.json"),
        ("--ways=5", "--ways=5"),
        ("my file", "'my file'"),
        ("omniglot-small", "omniglot-small"),
    ],
)
def test_only_the_last_name_of_a_path_is_kept(word: str, kept: str) -> None:
    assert command_line([word]) == f"handful {kept}"


def test_where_a_result_is_written() -> None:
    assert result_path("r/mine.json", RESULT) == Path("r/mine.json")
    assert result_path("r", RESULT, "5way") == Path("r/lake-omniglot-m-5way.json")


def test_the_rows_in_a_file_recount_to_the_accuracy(
    omniglot_root: Path, dots: Any, tmp_path: Path
) -> None:
    result = evaluate(dots(True), omniglot_root, "within-alphabet", 5, trials=30)
    write_rows(tmp_path / "rows.csv", [result, result])
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(result.rows) == 2 * (30 + 20)
    known = [row["correct"] == "True" for row in rows if row["truth"]]
    assert len(known) == 60
    assert np.mean(known) == result.metrics["accuracy"]
    assert all(0 <= float(row["score"]) <= 1 for row in rows)


def test_published_rows_say_their_protocol_and_source() -> None:
    for protocol in ("lake", "within-alphabet", "random-character"):
        for row in omniglot_rows(protocol):
            assert row["protocol"] == protocol
            assert 0.5 < row["accuracy"] < 1
            assert row["source"]
        assert omniglot_rows(protocol, ways=5) == omniglot_rows(protocol, shots=5) == []
    lake = {row["model"]: row["accuracy"] for row in omniglot_rows("lake")}
    assert lake["people"] == 0.955
    assert sorted(lake.values()) == [0.612, 0.863, 0.865, 0.92, 0.927, 0.955, 0.967, 0.985]
