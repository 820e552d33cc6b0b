"""Tables of explanations, retrieval, re-identification and metric learning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handful.evaluation.tables import fill


def cells(name: str, folder: Path, *found: dict[str, Any]) -> list[list[str]]:
    for number, value in enumerate(found):
        (folder / f"{number}.json").write_text(json.dumps(value), encoding="utf-8")
    lines = fill(f"<!-- table: {name} -->\n<!-- end -->", folder).splitlines()[1:-1]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert {len(row) for row in rows} == {len(rows[0])}
    return [rows[0], *rows[2:]]


def test_erasing_stands_with_its_rivals_and_n(tmp_path: Path) -> None:
    way = {"fall": 0.15, "random_fall": 0.06, "ratio": 2.5, "interval": [2.4, 2.6], "above": 0.8}
    metrics = {"score": way, "gradcam": way | {"ratio": 1.87, "interval": [1.74, 2.01]}}
    value = {"protocol": "erasing", "model": "m", "n": 500, "dataset": "d", "metrics": metrics}
    rows = cells("erasing", tmp_path, value)[1:]
    assert rows[0][1:] == ["`m`", "500 of d", "0.150", "0.060", "**2.50** (2.40-2.60)", "80.0"]
    assert rows[1][0].startswith("Grad-CAM")
    assert rows[1][5] == "**1.87** (1.74-2.01)"
    assert len(rows) == 2


def test_retrieval_stands_above_the_papers_rows(tmp_path: Path) -> None:
    def value(model: str, share: float, **changes: Any) -> dict[str, Any]:
        metrics = {"recall@1": share, "interval": [share - 0.01, share + 0.01]}
        about = {"protocol": "retrieval", "dataset": "caltech66", "size": 160}
        return about | {"model": model, "metrics": metrics} | changes

    other = value("other size", 0.9, size=224)
    layout = value("published set", 0.9, layout="cub")
    rows = cells("retrieval", tmp_path, value("b", 0.5), value("a", 0.75), other, layout)
    assert [row[0] for row in rows[1:3]] == ["`a`", "`b`"]
    assert rows[1][1:] == ["", "", "", "**75.0** (74.0-76.0)"]
    by_name = {row[0]: row[1:] for row in rows[3:]}
    # tables 1 and 2 of the paper, its shifted columns set right
    assert by_name["SAM (published)"] == ["68.3", "86.3", "77.9", ""]
    assert by_name["multi-similarity (published)"] == ["65.7", "84.1", "78.2", ""]
    assert by_name["DRO-KLM (published)"] == ["67.7", "86.4", "", ""]
    assert by_name["quadruplet + mining (SAM) (published)"] == ["66.4", "", "", ""]
    assert by_name["best ResNet-50 since (published)"] == ["73.4", "92.7", "82.9", ""]
    assert not {"`other size`", "`published set`"} & set(by_name)


def test_reidentification_stands_above_the_papers_rows(tmp_path: Path) -> None:
    metrics = {"cmc@1": 0.4, "map": 0.25, "interval": [0.3, 0.5]}
    value = {"protocol": "reid", "model": "pcb", "dataset": "d", "metrics": metrics}
    rows = cells("reid", tmp_path, value)
    assert rows[1] == ["`pcb`", "", "", "**40.0** (30.0-50.0) / 25.0"]
    by_name = {row[0]: row[1:] for row in rows[2:]}
    assert by_name["PCB + mining (SAM) (published)"] == ["74.5 / 67.5", "88.5 / 75.8", ""]
    assert by_name["DuATM (published)"] == ["", "81.8 / 64.6", ""]
    assert by_name["SVDNet (published)"] == ["41.5 / 37.3", "76.7 / 56.8", ""]


@pytest.mark.parametrize(("deviation", "spread"), [(0.005, " ± 0.5"), (None, "")])
def test_mining_stands_beside_the_same_runs_without(
    tmp_path: Path, deviation: float | None, spread: str
) -> None:
    difference = {"mean": 0.01, "deviation": deviation, "interval": [0, 0.02]}
    sides = {"without": {"mean": {"recall@1": 0.9}}, "with": {"mean": {"recall@1": 0.91}}}
    pair = {"loss": "triplet", "share": 1.0, "seeds": [0, 1], "difference": difference} | sides
    shares = {"1.0": {"recall@1": 0.85}, "0.5": {"recall@1": 0.875}}
    value = {
        "protocol": "metric-learning",
        "dataset": "d",
        "backbone": "b",
        "untouched": {"recall@1": 0.89},
        "paired": [pair],
        "runs": [
            {"loss": loss, "shares": shares, "options": {"rate": rate}}
            for loss, rate in (("triplet", 3e-5), ("n-pair", 1e-4))
        ],
    }
    rows = cells("metric-learning", tmp_path, value)[1:]
    same = ["d", "`b`"]
    gain = f"+1.0{spread} (2)"
    assert rows == [
        [*same, "triplet", "3e-05", "as trained", "89.0", "**90.0**", "**91.0**", gain],
        [*same, "n-pair", "1e-04", "as trained", "89.0", "**85.0**", "", ""],
        [*same, "n-pair", "1e-04", "half-way", "89.0", "**87.5**", "", ""],
    ]


def test_conditions_of_mining_stand_with_both_scores(tmp_path: Path) -> None:
    def pair(without: float, mined: float) -> dict[str, Any]:
        return {"without": without, "with": mined, "gain": mined - without}

    row = {"begin": "random", "slope": 10.0, "threshold": 0.3, "before": {"map@r": 0.2}}
    value = {"protocol": "mining-conditions", "model": "m", "n": 9, "metrics": {}}
    scores = {"map@r": pair(0.5, 0.55), "recall@1": pair(0.9, 0.875)}
    value["rows"] = [row | scores | {"hidden": {"0.25": pair(0.1, 0.2), "0.5": pair(0.3, 0.4)}}]
    rows = cells("mining-conditions", tmp_path, value)
    assert rows[1:] == [
        ["random", "10", "0.3", "20.0", "50.0", "55.0", "90.0", "87.5", "30.0", "40.0"]
    ]


def test_speed_stands_beside_the_package(tmp_path: Path) -> None:
    seconds, ratio = (
        {"rival": 33.0, "closed": 11.0, "handful": 6.6},
        {"closed": 3.0, "handful": 5.0},
    )
    networks = {"resnet50": {"seconds": seconds, "ratio": ratio}}
    value = {"protocol": "explain-speed", "model": "m", "n": 64, "networks": networks}
    rows = cells("explain-speed", tmp_path, value)
    assert rows[1:] == [["`resnet50`", "64", "33.0", "11.0 (3.0x)", "6.6 (5.0x)"]]
