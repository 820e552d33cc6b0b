from __future__ import annotations

import json
from pathlib import Path

import pytest

from handful import zoo
from handful.errors import InputError
from handful.evaluation.thresholds import keep_threshold, main
from handful.methods import segmenters
from handful.methods.masks.thresholds import TABLE, presence_threshold, thresholds


def result(path: Path, careful: float = 0.61, **other: object) -> Path:
    presence = {"auroc": 0.8, "present": 9, "absent": 9, "careful": careful, "empty": 0.1}
    value = {
        "dataset": "validation",
        "model": "prototypes",
        "seed": 3,
        "sha256": None,
        "metrics": {"presence": presence},
    }
    path.write_text(json.dumps(value | other))
    return path


def card(folder: Path, **facts: object) -> zoo.Card:
    plain = {
        "name": "own", "title": "t", "task": "segment", "method": "mshnet", "backbone": "b",
        "licence": "l", "commercial_use": True, "data": "d", "limits": "l",
    }  # fmt: skip
    made = zoo.Card(**(plain | facts))  # type: ignore[arg-type]
    folder.mkdir(exist_ok=True)
    (folder / "card.json").write_text(made.model_dump_json())
    return made


def test_methods_that_learn_nothing_have_the_tables_threshold() -> None:
    for name, row in thresholds().items():
        assert 0 < row["threshold"] < 1
        assert row["present"] == row["absent"] >= 100
        assert presence_threshold(name) == row["threshold"]
        # measured on the weights that are bundled
        assert row.get("sha256") == zoo.digest(name.partition(":")[0])
    assert segmenters.load("discriminant", device="cpu").threshold == presence_threshold(
        "discriminant:handful-base", default=-1
    )
    assert segmenters.load("whole").threshold == 0.5


def test_a_result_on_validation_classes_is_kept(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    table.write_text('{"z:net": {"threshold": 0.1}}')
    assert keep_threshold(result(tmp_path / "r.json"), table=table) == 0.61
    kept = json.loads(table.read_text())
    assert [*kept] == ["prototypes:handful-base", "z:net"]
    row = {"threshold": 0.61, "auroc": 0.8, "present": 9, "absent": 9, "seed": 3}
    assert kept["prototypes:handful-base"] == row
    joined = result(tmp_path / "j.json", model="own+clusters", sha256="a" * 64)
    keep_threshold(joined, table=table)
    assert json.loads(table.read_text())["own+clusters:handful-base"] == row | {"sha256": "a" * 64}


def test_a_run_keeps_it_in_its_card(tmp_path: Path) -> None:
    run, digest = tmp_path / "run", "a" * 64
    card(run, sha256=digest, calibration={"slope": 2.0})
    keep_threshold(result(tmp_path / "r.json", 0.25, sha256=digest), run)
    assert zoo.card(run).calibration == {"slope": 2.0, "presence": 0.25}
    assert presence_threshold("mshnet", zoo.card(run)) == 0.25
    assert presence_threshold("prototypes", card(tmp_path / "b"), default=0.7) == 0.7


def test_what_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = TABLE.read_text()
    table = tmp_path / "table.json"
    with pytest.raises(InputError, match="chosen on --dataset validation alone"):
        keep_threshold(result(tmp_path / "r.json", dataset="voc"), table=table)
    with pytest.raises(InputError, match="measure with --absent 500"):
        keep_threshold(result(tmp_path / "r.json", metrics={}), table=table)
    with pytest.raises(InputError, match="name their folder by --run"):
        keep_threshold(result(tmp_path / "r.json", sha256="b" * 64), table=table)
    card(tmp_path / "run", sha256="a" * 64)
    assert main(["--run", str(tmp_path / "run"), str(result(tmp_path / "r.json"))]) == 2
    assert "is of other weights than" in capsys.readouterr().err
    assert main([]) == 2
    assert not table.exists()
    assert TABLE.read_text() == before
