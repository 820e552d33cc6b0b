from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from handful import zoo
from handful.errors import InputError
from handful.files import sha256
from handful.training.bundle import bundle, main


def entry(run: Path, weights: bool = True) -> None:
    card = zoo.Card(
        name="tiny",
        title="Tiny",
        task="recognize",
        method="prototypes",
        backbone="drawing-net",
        licence="Apache-2.0",
        commercial_use=True,
        data="none",
        files=zoo.LearnedFrom(list="files.txt", count=3),
        limits="all",
    )
    zoo.save_entry(run, card, {"w": torch.arange(3.0)} if weights else {})
    (run / "files.txt").write_text("a/: 1.png 2.png\nb/: 1.png\n", encoding="utf-8")


def measured(folder: Path, **fields: object) -> Path:
    value = {"protocol": "lake", "dataset": "omniglot", "ways": 20, "shots": 1, "n": 400}
    value |= {"metrics": {"accuracy": 0.5}}
    result = folder / "lake-omniglot-tiny.json"
    result.write_text(json.dumps({"model": "tiny"} | value | fields), encoding="utf-8")
    return result


@pytest.mark.parametrize("fields", [{"sha256": "0" * 64}, {"model": "other"}, {}])
def test_a_result_of_other_weights_is_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    run, root = tmp_path / "run", tmp_path / "zoo"
    entry(run)
    digest = sha256(run / "weights.safetensors")
    given = fields if "sha256" in fields or not fields else fields | {"sha256": digest}
    with pytest.raises(InputError, match="measure again"):
        bundle(run, [measured(tmp_path, **given)], root)
    assert not root.exists()


def test_the_card_quotes_the_results_and_the_files(tmp_path: Path) -> None:
    run, root = tmp_path / "run", tmp_path / "zoo"
    entry(run)
    result = measured(tmp_path, sha256=sha256(run / "weights.safetensors"))

    card = bundle(run, [result], root)

    stored = zoo.Card.model_validate_json((root / "cards" / "tiny.json").read_text("utf-8"))
    assert stored == card
    figure = stored.figures[0]
    assert (figure.result, figure.value) == ("lake-omniglot-tiny", 0.5)
    assert figure.protocol == "lake, omniglot, 20-way 1-shot, n = 400"
    assert stored.sha256 == sha256(root / "weights" / "tiny.safetensors")
    assert stored.files is not None
    assert (root / stored.files.list).read_text("utf-8") == "a/: 1.png 2.png\nb/: 1.png\n"


def test_a_method_without_weights_gets_no_weights_file(tmp_path: Path) -> None:
    entry(tmp_path / "run", weights=False)
    card = bundle(tmp_path / "run", [], tmp_path / "zoo")
    assert card.weights is None
    assert not (tmp_path / "zoo" / "weights").exists()


def test_a_calibration_alone_leaves_the_weights(tmp_path: Path) -> None:
    run, root = tmp_path / "run", tmp_path / "zoo"
    entry(run)
    bundle(run, [], root)
    weights = (root / "weights" / "tiny.safetensors").read_bytes()

    (tmp_path / "later").mkdir()
    entry(tmp_path / "later", weights=False)
    later = zoo.card(tmp_path / "later")
    fitted = later.model_copy(update={"calibration": {"slope": 3.0}, "recipe": "tiny"})
    (tmp_path / "later" / "card.json").write_text(fitted.model_dump_json(), encoding="utf-8")
    bundle(tmp_path / "later", [], root)

    card = zoo.Card.model_validate_json((root / "cards" / "tiny.json").read_text("utf-8"))
    assert (card.calibration, card.recipe) == ({"slope": 3.0}, "tiny")
    assert card.sha256 == sha256(root / "weights" / "tiny.safetensors")
    assert (root / "weights" / "tiny.safetensors").read_bytes() == weights


def test_no_entry_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "zoo").exists()
