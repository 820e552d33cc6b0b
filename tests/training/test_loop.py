"""The loop on a line to be fitted: exact resume, early stopping, averages, refusals."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from handful.errors import InputError
from handful.training import loop
from handful.training.loop import LoopConfig, fastest_precision, train
from handful.training.state import Position

CONFIG = LoopConfig(steps=23, validate_every=5, monitor="fit", precision="32-true", keep="last")


class Killed(Exception):
    """Stands for the kill: the process would be gone."""


class Line:
    """Fit y = x.w + 1 with dropout (torch's own chance) and batch norm (buffers)."""

    batch_size = 8

    def __init__(self, optimizer: str = "adam", die_at: int = -1) -> None:
        torch.manual_seed(99)
        self.model: nn.Module = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.2), nn.Linear(3, 1))
        self.kind, self.die_at = optimizer, die_at
        self.drawn: list[Tensor] = []
        self.weights: list[np.ndarray] = []
        self.values: list[float] = []

    def optimizer(self) -> Optimizer:
        if self.kind == "adam":
            return Adam(self.model.parameters(), lr=0.05)
        return SGD(self.model.parameters(), lr=0.05, momentum=0.9)

    def schedule(self, optimizer: Optimizer, step: int) -> None:
        if step == self.die_at:
            raise Killed
        self.weights.append(self.model[2].weight.detach().double().numpy().copy())
        for group in optimizer.param_groups:
            group["lr"] = 0.05 / (1 + step)

    def loss(self, generator: torch.Generator) -> Tensor:
        x = torch.randn(8, 3, generator=generator)
        self.drawn.append(x)
        y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 1
        return (self.model(x) - y).square().mean()

    def validate(self, model: nn.Module) -> dict[str, float]:
        model.eval()
        if self.values:
            return {"fit": self.values.pop(0)}
        with torch.no_grad():
            return {"fit": -float(model(torch.eye(3)).square().sum()), "other": 1.0}


def state_of(task: Line) -> list[Tensor]:
    return [value.clone() for value in task.model.state_dict().values()]


def equal(first: Line, second: Line) -> bool:
    return all(torch.equal(a, b) for a, b in zip(state_of(first), state_of(second), strict=True))


def rows(run: Path) -> list[list[str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.reader(file))


def but_time(position: Position) -> dict[str, object]:
    return asdict(replace(position, seconds=0.0))


def _killed(*_: object) -> None:
    raise Killed


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_killed_at_three_random_steps_ends_like_one_never_killed(
    tmp_path: Path, optimizer: str, average: float
) -> None:
    config = replace(CONFIG, average=average)
    straight = Line(optimizer)
    expected = train(straight, config, tmp_path / "straight")

    kills = sorted(np.random.default_rng(4).choice(np.arange(1, 23), 3, replace=False))
    for number, step in enumerate(kills):
        with pytest.raises(Killed):
            train(Line(optimizer, die_at=step), config, tmp_path / "killed", resume=number > 0)
    resumed = Line(optimizer)
    found = train(resumed, config, tmp_path / "killed", resume=True)

    assert len(resumed.drawn) < 23
    assert equal(resumed, straight)
    assert but_time(found) == but_time(expected)
    metrics = [(tmp_path / run / "metrics.csv").read_bytes() for run in ("straight", "killed")]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("name", ["save_state", "pack"])
def test_killed_between_the_curve_and_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    straight = Line()
    train(straight, CONFIG, tmp_path / "straight")
    whole: Callable[..., object] = getattr(loop, name)
    calls = []

    def third_time(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return whole(*arguments)

    monkeypatch.setattr(loop, name, third_time)
    with pytest.raises(Killed):
        train(Line(), CONFIG, tmp_path / "killed")
    monkeypatch.undo()
    # the rows of step 15 are there, its state is not
    assert rows(tmp_path / "killed")[-1][0] == "15"
    with (tmp_path / "killed" / "metrics.csv").open("a") as file:
        file.write("20,lo")
    resumed = Line()
    train(resumed, CONFIG, tmp_path / "killed", resume=True)
    assert len(resumed.drawn) == 13
    assert equal(resumed, straight)
    assert rows(tmp_path / "killed") == rows(tmp_path / "straight")


def test_resuming_an_ended_run_changes_nothing(tmp_path: Path) -> None:
    task, again = Line(), Line()
    first = train(task, CONFIG, tmp_path)
    second = train(again, CONFIG, tmp_path, resume=True)
    assert again.drawn == []
    assert equal(task, again)
    assert first == second


def test_the_curve_holds_the_mean_loss_and_every_figure(tmp_path: Path) -> None:
    task = Line()
    losses: list[float] = []
    plain = task.loss

    def recorded(generator: torch.Generator) -> Tensor:
        loss = plain(generator)
        losses.append(float(loss.detach()))
        return loss

    task.loss = recorded  # type: ignore[method-assign]
    position = train(task, CONFIG, tmp_path)
    found = rows(tmp_path)
    assert found[0] == ["step", "name", "value"]
    steps = [5, 10, 15, 20, 23]
    assert [row[:2] for row in found[1:]] == [
        [str(step), name] for step in steps for name in ("loss", "fit", "other")
    ]
    means = [float(row[2]) for row in found if row[1] == "loss"]
    expected = [np.mean(part) for part in np.split(np.array(losses), steps[:-1])]
    np.testing.assert_allclose(means, expected, rtol=1e-5)
    assert (position.step, position.images) == (23, 23 * 8)


def test_tensorboard_shows_the_same_curve_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(Killed):
        train(Line(die_at=12), CONFIG, tmp_path)
    monkeypatch.setattr(loop, "save_state", _killed)
    with pytest.raises(Killed):
        train(Line(), CONFIG, tmp_path, resume=True)
    monkeypatch.undo()
    # step 15 was shown already, its state was not saved
    train(Line(), CONFIG, tmp_path, resume=True)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    for name in ("loss", "fit"):
        shown = [(event.step, event.value) for event in board.Scalars(name)]
        written = [(int(row[0]), float(row[2])) for row in rows(tmp_path) if row[1] == name]
        assert [step for step, _ in shown] == [step for step, _ in written]
        np.testing.assert_allclose(
            [value for _, value in shown], [value for _, value in written], rtol=1e-5
        )


def test_patience_stops_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=100, validate_every=1, patience=3, keep="best")
    task = Line()
    task.values = [0.1, 0.5, 0.4, 0.5, 0.2, 0.9]
    position = train(task, config, tmp_path)
    assert (position.step, position.best_step, position.best_value) == (5, 2, 0.5)
    # weights[k] are those before step k, that is after k steps
    np.testing.assert_array_equal(task.model[2].weight.detach().double().numpy(), task.weights[2])
    last = Line()
    last.values = [0.1, 0.5, 0.4, 0.5, 0.2, 0.9]
    train(last, replace(config, keep="last"), tmp_path / "last")
    assert not equal(task, last)


def test_patience_counts_on_over_a_resume(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=100, validate_every=1, patience=3, keep="best")
    killed = Line(die_at=4)
    killed.values = [0.1, 0.5, 0.4, 0.3]
    with pytest.raises(Killed):
        train(killed, config, tmp_path)
    resumed = Line()
    resumed.values = [0.2, 0.9]
    position = train(resumed, config, tmp_path, resume=True)
    assert (position.step, position.best_step) == (5, 2)
    np.testing.assert_array_equal(
        resumed.model[2].weight.detach().double().numpy(), killed.weights[2]
    )


def test_the_average_is_an_exponential_mean_that_starts_fast(tmp_path: Path) -> None:
    task = Line()
    train(task, replace(CONFIG, average=0.9), tmp_path / "average")
    plain = Line()
    train(plain, CONFIG, tmp_path / "plain")
    path = [*plain.weights, plain.model[2].weight.detach().double().numpy()]
    mean = path[0]
    for step, value in enumerate(path[1:], 1):
        decay = min(0.9, (step + 1) / (step + 10))
        mean = decay * mean + (1 - decay) * value
    np.testing.assert_allclose(task.model[2].weight.detach().numpy(), mean, rtol=1e-5)
    assert np.abs(mean - path[-1]).max() > 1e-3


def test_the_average_is_what_is_validated(tmp_path: Path) -> None:
    task = Line()
    seen: list[Tensor] = []

    def validate(model: nn.Module) -> dict[str, float]:
        seen.append(model[2].weight.detach().clone())  # type: ignore[index]
        return {"fit": 0.0}

    task.validate = validate  # type: ignore[method-assign]
    train(task, replace(CONFIG, average=0.9), tmp_path)
    assert torch.equal(seen[-1], task.model[2].weight)


def test_chance_depends_on_seed_and_step_alone(tmp_path: Path) -> None:
    tasks = {}
    for seed in (0, 1, 2**31):
        tasks[seed] = Line()
        train(tasks[seed], replace(CONFIG, steps=4, seed=seed), tmp_path / str(seed))
    again = Line()
    torch.rand(5)
    train(again, replace(CONFIG, steps=4, seed=1), tmp_path / "again")
    assert all(torch.equal(a, b) for a, b in zip(tasks[1].drawn, again.drawn, strict=True))
    draws = [x for task in tasks.values() for x in task.drawn]
    assert len({tuple(x.flatten().tolist()) for x in draws}) == len(draws) == 12


def test_clipped_gradients(tmp_path: Path) -> None:
    class Steep(Line):
        def optimizer(self) -> Optimizer:
            return SGD(self.model.parameters(), lr=1.0)

        def schedule(self, optimizer: Optimizer, step: int) -> None:
            pass

        def loss(self, generator: torch.Generator) -> Tensor:
            return 1e4 * super().loss(generator)

    task = Steep()
    before = torch.cat([p.detach().flatten().clone() for p in task.model.parameters()])
    train(task, replace(CONFIG, steps=1, clip=0.25), tmp_path)
    after = torch.cat([p.detach().flatten() for p in task.model.parameters()])
    assert float((after - before).norm()) == pytest.approx(0.25, rel=1e-4)


def test_the_precision_of_the_beginning_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, precision="auto")
    monkeypatch.setattr(loop, "fastest_precision", lambda: "bf16-mixed")
    with pytest.raises(Killed):
        train(Line(die_at=12), config, tmp_path)
    monkeypatch.setattr(loop, "fastest_precision", lambda: pytest.fail("measured again"))
    assert train(Line(), config, tmp_path, resume=True).precision == "bf16-mixed"


def test_the_precision_is_measured() -> None:
    assert fastest_precision() in {"32-true", "bf16-mixed"}


def test_a_folder_with_a_run_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    train(Line(), replace(CONFIG, steps=5), tmp_path)
    (tmp_path / ".state-00000010.77.part.safetensors").write_bytes(b"of a run that goes on")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(InputError, match="--resume") as error:
        train(Line(), CONFIG, tmp_path)
    assert "\n" not in str(error.value)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_half_written_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    # killed before its first state, too
    for resume in (False, True):
        leftover = tmp_path / ".state-00000005.77.part.safetensors"
        leftover.write_bytes(b"half")
        train(Line(), replace(CONFIG, steps=5), tmp_path, resume=resume)
        assert not leftover.exists()
    assert len([*tmp_path.glob("state-*")]) == 1


def test_a_state_without_its_tensors_is_one_line(tmp_path: Path) -> None:
    train(Line(), CONFIG, tmp_path)
    next(tmp_path.glob("state-*")).unlink()
    with pytest.raises(InputError, match="is missing; start again in a new --out folder"):
        train(Line(), CONFIG, tmp_path, resume=True)


def test_a_lost_loss_ends_the_run(tmp_path: Path) -> None:
    task = Line()
    task.loss = lambda generator: task.model(torch.ones(2, 3)).sum() * torch.inf  # type: ignore[method-assign]
    with pytest.raises(InputError, match="loss of step 0 is"):
        train(task, CONFIG, tmp_path)


def test_a_figure_that_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'accuracy' is not measured: there is fit, other"):
        train(Line(), replace(CONFIG, monitor="accuracy"), tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", "1e5"),
        ("steps", 2.5),
        ("steps", True),
        ("validate_every", 0),
        ("patience", -1),
        ("seed", -1),
        ("clip", -0.1),
        ("clip", "5e-1"),
        ("average", 1.0),
        ("average", float("nan")),
        ("precision", "16"),
        ("keep", "worst"),
    ],
)
def test_settings_that_cannot_be(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"loop: {name} is ") as error:
        replace(CONFIG, **{name: value})
    assert "\n" not in str(error.value)
