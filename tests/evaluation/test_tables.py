from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handful.errors import InputError
from handful.evaluation.tables import fill


def result(model: str, accuracy: float, protocol: str, **changes: Any) -> dict[str, Any]:
    pair = {"auc": 0.9, "auroc": 0.8, "accuracy": None}
    metrics = {"accuracy": accuracy, "interval": [accuracy - 0.01, accuracy + 0.01]}
    metrics |= {"rejection": pair, "verification": pair}
    return {
        "protocol": protocol,
        "dataset": "omniglot",
        "ways": 20,
        "shots": 1,
        "model": model,
        "metrics": metrics,
    } | changes


@pytest.fixture
def results(tmp_path: Path) -> Path:
    found = [
        result("worse", 0.5, "within-alphabet"),
        result("better", 0.875, "within-alphabet"),
        result("better", 0.9, "random-character"),
        result("other-ways", 0.99, "within-alphabet", ways=5),
    ]
    for number, value in enumerate(found):
        (tmp_path / f"{number}.json").write_text(json.dumps(value), encoding="utf-8")
    return tmp_path


def test_only_what_stands_between_the_marks_is_replaced(results: Path) -> None:
    text = "before 99\n<!-- table: one-shot -->\nstale\n<!-- end -->\nafter\n"
    filled = fill(text, results)
    assert filled.startswith("before 99\n<!-- table: one-shot -->\n| model |")
    assert filled.endswith("<!-- end -->\nafter\n")
    assert "stale" not in filled
    assert fill(filled, results) == filled


def test_ours_and_published_figures_stand_under_their_protocol(results: Path) -> None:
    filled = fill("<!-- table: one-shot -->\n<!-- end -->", results)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in filled.splitlines()[3:-1]]
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["`better`"] == ["**87.5** (86.5-88.5)", "**90.0** (89.0-91.0)", ""]
    assert list(by_name)[:2] == ["`better`", "`worse`"]
    # what Lake et al. and Koch et al. report of the official runs
    assert by_name["people (published)"] == ["", "", "95.5"]
    assert by_name["Koch's Siamese network (published)"] == ["", "", "92.0"]
    assert not any("other-ways" in name for name in by_name)


def test_a_figure_that_was_not_measured_is_left_out(results: Path) -> None:
    filled = fill("<!-- table: known-or-not -->\n<!-- end -->", results)
    assert "| `worse` | within-alphabet | 0.800 |  | 0.900 |  |" in filled


def test_an_unknown_table_is_refused(results: Path) -> None:
    with pytest.raises(InputError, match="no table 'nothing'"):
        fill("<!-- table: nothing -->\n<!-- end -->", results)


def test_photos_stand_by_size_the_best_first(tmp_path: Path) -> None:
    def photo(model: str, size: int, share: float, **changes: Any) -> dict[str, Any]:
        metrics = {"recall@1": share, "accuracy": share, "interval": [share - 0.02, share + 0.02]}
        about = {"protocol": "retrieval", "dataset": "caltech66", "size": size}
        return about | {"model": model, "metrics": metrics} | changes

    found = [
        photo("b", 224, 0.8),
        photo("a", 160, 0.7),
        photo("b", 160, 0.75),
        photo("b", 160, 0.9, protocol="fewshot", ways=5, shots=1),
        photo("b", 160, 0.1, protocol="fewshot", ways=10, shots=1),
        photo("b", 160, 0.2, dataset="lion-reid-val"),
    ]
    for number, value in enumerate(found):
        (tmp_path / f"{number}.json").write_text(json.dumps(value), encoding="utf-8")
    lines = fill("<!-- table: photos -->\n<!-- end -->", tmp_path).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[3:-1]]
    assert rows == [
        ["`b`", "160", "**75.0** (73.0-77.0)", "**90.0** (88.0-92.0)", ""],
        ["`a`", "160", "**70.0** (68.0-72.0)", "", ""],
        ["`b`", "224", "**80.0** (78.0-82.0)", "", ""],
    ]
    lions = fill("<!-- table: individuals -->\n<!-- end -->", tmp_path)
    assert "**20.0** (18.0-22.0)" in lions
    assert "75.0" not in lions


def test_cells_and_strangers(tmp_path: Path) -> None:
    confusion = {"a": {"a": 9, "b": 1}, "b": {"a": 1, "b": 1}}
    metrics = {"accuracy": 10 / 12, "interval": [0.8, 0.9], "confusion": confusion}
    about = {"protocol": "fewshot", "model": "m", "ways": 2, "size": 160}
    cell = about | {"dataset": "blood-cells-sample-boxes", "shots": 3, "metrics": metrics}
    rejection = {"auroc": 0.9, "accuracy": 0.75}
    mixed = about | {"dataset": "d", "shots": 1}
    mixed |= {"metrics": {"accuracy": 0.5, "rejection": rejection}}
    for number, value in enumerate((cell, mixed)):
        (tmp_path / f"{number}.json").write_text(json.dumps(value), encoding="utf-8")
    assert "| `m` | **83.3** (70.0) |" in fill("<!-- table: cells -->\n<!-- end -->", tmp_path)
    row = "| `m` | d, 160 pixels | 2 classes, 1 examples | 50.0 | 0.900 | 75.0 |"
    assert row in fill("<!-- table: strangers -->\n<!-- end -->", tmp_path)


def test_speed_stands_beside_its_ratio(tmp_path: Path) -> None:
    row = {"photos_per_second": {"timm": 40.2, "ours": 100.5}, "ratio": {"timm": 1.0, "ours": 2.5}}
    value = {"protocol": "backbone-speed", "sizes": {"160": row}}
    (tmp_path / "0.json").write_text(json.dumps(value), encoding="utf-8")
    found = fill("<!-- table: speed -->\n<!-- end -->", tmp_path)
    assert "| pixels | timm | ours |" in found
    assert "| 160 | 40 (1.0x) | 100 (2.5x) |" in found


def test_a_glance_shows_ours_beside_another(tmp_path: Path) -> None:
    found = [
        result("omniglot-small", 0.93, "within-alphabet"),
        result("nearest-neighbour", 0.16, "within-alphabet"),
        result("nearest-neighbour", 0.99, "random-character"),
        # nothing beside it: no line
        result("handful-base", 0.5, "fewshot", dataset="caltech66", ways=5, size=192),
    ]
    erased = {"score": {"ratio": 2.04}, "gradcam": {"ratio": 1.5}}
    found.append({"protocol": "erasing", "model": "handful-base", "dataset": "caltech66"})
    found[-1]["metrics"] = erased
    for number, value in enumerate(found):
        (tmp_path / f"{number}.json").write_text(json.dumps(value), encoding="utf-8")
    lines = fill("<!-- table: glance -->\n<!-- end -->", tmp_path).splitlines()[3:-1]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [(row[0], row[2], row[3]) for row in cells] == [
        ("**recognize**", "**93.0 %**", "16.0 %"),
        ("**explain**", "**2.0x**", "1.5x"),
    ]
