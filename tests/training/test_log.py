"""The curve on disk: what a killed run leaves half-written is dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from handful.training.log import RunLog, read_curve
from handful.training.state import Position

HEADER = "step,name,value"


def written(run: Path) -> list[str]:
    return (run / "metrics.csv").read_text().splitlines()


def test_rows_are_the_mean_loss_and_the_figures(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0, 4) as log:
        for step, loss in enumerate((1.0, 2.0, 4.5, 0.5), 1):
            log.train(step, loss)
            if step % 2 == 0:
                log.validation(Position(step=step, metrics={"one_shot": step / 8}))
    rows = ["2,loss,1.5", "2,one_shot,0.25", "4,loss,2.5", "4,one_shot,0.5"]
    assert written(tmp_path) == [HEADER, *rows]


@pytest.mark.parametrize(
    "torn", ["", "6", "6,", "6,lo", "6,loss,", "6,loss,0.12", "\n", "x,loss,1\n", "60"]
)
def test_what_comes_after_the_state_is_dropped(tmp_path: Path, torn: str) -> None:
    whole = f"{HEADER}\n2,loss,1.5\n4,loss,2.5\n"
    (tmp_path / "metrics.csv").write_text(whole + torn)
    with RunLog(tmp_path, 4, 8):
        assert written(tmp_path) == [HEADER, "2,loss,1.5", "4,loss,2.5"]
    with RunLog(tmp_path, 2, 8):
        assert written(tmp_path) == [HEADER, "2,loss,1.5"]


def test_a_new_run_begins_a_new_curve(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(f"{HEADER}\n2,loss,1.5\n")
    with RunLog(tmp_path, 0, 8):
        assert written(tmp_path) == [HEADER]


def test_progress_goes_to_stderr_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunLog(tmp_path, 0, 1) as log:
        log.train(1, 0.25)
        log.validation(Position(step=1, metrics={"one_shot": 0.75}))
    output = capsys.readouterr()
    assert output.out == ""
    assert "loss 0.2500 one_shot 0.7500" in output.err


def test_the_curve_reads_back(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(f"{HEADER}\n2,loss,1.5\n2,fit,-1e-05\n4,loss,2.5\n")
    assert read_curve(tmp_path) == {"loss": [[2, 1.5], [4, 2.5]], "fit": [[2, -1e-5]]}
