"""The curves of a run: ``metrics.csv``, TensorBoard, and a progress bar on stderr."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import Any

from handful.files import replacing
from handful.training.state import Position

_HEADER = ["step", "name", "value"]


class RunLog:
    """Write the figures of a run as they come.

    A resumed run first drops the rows after its state: they belong to steps that will be taken
    again.

    Parameters
    ----------
    run : Path
        The run's folder.
    step : int
        The step at which the run begins or goes on.
    steps : int
        The steps it is to take.
    """

    def __init__(self, run: Path, step: int, steps: int) -> None:
        from lightning.fabric.loggers import TensorBoardLogger
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        run.mkdir(parents=True, exist_ok=True)
        self._path = run / "metrics.csv"
        _cut(self._path, step)
        self._board: Any = TensorBoardLogger(
            run, name="tensorboard", version="", purge_step=step + 1 if step else None
        )
        self._sum, self._count = 0.0, 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Remaining(),
            console=Console(stderr=True),
        )
        self._bar = self._progress.add_task("training", total=steps, completed=step)

    def __enter__(self) -> RunLog:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
        self._board.finalize("success" if error is None else "failed")

    def train(self, step: int, loss: float) -> None:
        """Count one step's loss; their mean is written at the next validation."""
        self._sum += loss
        self._count += 1
        self._progress.update(self._bar, completed=step)

    def validation(self, position: Position) -> None:
        """Write the mean training loss since the last validation, and the validation."""
        figures = {"loss": self._sum / max(self._count, 1), **position.metrics}
        self._sum, self._count = 0.0, 0
        with self._path.open("a", newline="", encoding="utf-8") as file:
            rows = [[position.step, name, f"{value:.6g}"] for name, value in figures.items()]
            csv.writer(file).writerows(rows)
        self._board.log_metrics(
            {**figures, "seconds": position.seconds, "images": position.images}, position.step
        )
        text = " ".join(f"{name} {value:.4f}" for name, value in figures.items())
        self._progress.console.print(f"step {position.step} {position.seconds:.0f} s {text}")


def _cut(path: Path, step: int) -> None:
    rows = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            # a killed run may leave half a last row, which has too few fields
            rows = [r for r in csv.reader(file) if len(r) == 3 and r[0].isdigit()]
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([_HEADER, *(r for r in rows if int(r[0]) <= step)])


def read_curve(run: Path) -> dict[str, list[list[float]]]:
    """Return the curves of a run: by name, [step, value] in order."""
    curves: dict[str, list[list[float]]] = {}
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            curves.setdefault(row["name"], []).append([int(row["step"]), float(row["value"])])
    return curves
