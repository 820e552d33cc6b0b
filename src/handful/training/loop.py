"""The one training loop: Lightning Fabric for device and precision, exact resume for the rest.

Step k draws its randomness from (seed, k) alone, so a run that was killed and resumed takes the
very steps of one that was not.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from handful.errors import InputError
from handful.training.log import RunLog
from handful.training.state import Position, clear_leftovers, load_state, pack, save_state, unpack

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class Task(Protocol):
    """What a trainable method gives the loop.

    Attributes
    ----------
    model : nn.Module
        What is optimised, averaged, validated and saved.
    batch_size : int
        Training images of one step.
    """

    model: nn.Module
    batch_size: int

    def optimizer(self) -> Optimizer:
        """Return the optimiser over the model's parameters."""
        ...

    def schedule(self, optimizer: Optimizer, step: int) -> None:
        """Set the rates (and momenta) of step `step`, counted from 0."""
        ...

    def loss(self, generator: torch.Generator) -> Tensor:
        """Draw a batch with `generator` and return its loss, a scalar."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Measure `model` on validation classes."""
        ...


PRECISIONS = ("auto", "32-true", "bf16-mixed")


@dataclass(frozen=True)
class LoopConfig:
    """How long a run lasts and what it watches.

    Attributes
    ----------
    steps : int
        Optimiser steps at most.
    validate_every : int
        Steps from one validation, and saved state, to the next.
    monitor : str
        The validation figure to maximise.
    patience : int
        Validations without a better figure before the run stops early; 0 never stops it.
    seed : int
        The seed of every draw.
    precision : str
        ``32-true``, ``bf16-mixed``, or ``auto``: bf16 where the hardware has it.
    clip : float
        Largest norm of the gradient; 0 leaves it as it is.
    average : float
        Decay of the exponential mean of the weights that is validated and kept; 0 for none.
    keep : str
        ``best`` keeps the weights of the best validation, ``last`` those of the last step.
    """

    steps: int
    validate_every: int
    monitor: str
    patience: int = 0
    seed: int = 0
    precision: str = "auto"
    clip: float = 0.0
    average: float = 0.0
    keep: str = "best"

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("validate_every", 1), ("patience", 0), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InputError(f"loop: {name} is {value!r}, not a whole number from {least} up")
        for name, below in (("clip", math.inf), ("average", 1)):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value < below:
                raise InputError(f"loop: {name} is {value!r}, not a number from 0 to below {below}")
        for name, known in (("precision", PRECISIONS), ("keep", ("best", "last"))):
            if getattr(self, name) not in known:
                raise InputError(f"loop: {name} is {getattr(self, name)!r}, none of {known}")


def fastest_precision() -> str:
    """Return the name of the faster precision: bf16 where there are instructions for it.

    It asks the hardware and measures nothing, so that the same machine always answers the same.
    """
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16-mixed" if known.get("avx512_bf16") or known.get("amx_bf16") else "32-true"


def train(task: Task, config: LoopConfig, run: Path, resume: bool = False) -> Position:
    """Train `task`, keeping everything in the folder `run`.

    Parameters
    ----------
    task : Task
        The method.
    config : LoopConfig
        Length, validation, seed.
    run : Path
        The run's folder: ``state.json`` and its tensors, ``metrics.csv``, ``tensorboard/``, and
        at the end ``weights.safetensors`` are written there.
    resume : bool
        Go on where the folder's state stands. Without it the folder must hold no run.

    Returns
    -------
    Position
        Where the run ended; the kept weights are loaded in ``task.model``.

    Raises
    ------
    InputError
        The folder holds a run and `resume` is False; the loss is no number any more; or the task
        does not measure what the run is to watch.
    """
    from lightning.fabric import Fabric

    found = load_state(run)
    if found and not resume:
        raise InputError(f"{run}: holds a run already; add --resume or name a new --out folder")
    clear_leftovers(run)
    position = found[0] if found else Position()
    if not found:
        known = config.precision != "auto"
        position.precision = config.precision if known else fastest_precision()
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    fabric = Fabric(accelerator=accelerator, devices=1, precision=position.precision)
    task.model.to(fabric.device)
    optimizer = task.optimizer()
    average = copy.deepcopy(task.model) if config.average else task.model
    best = copy.deepcopy(task.model)
    modules = {"model": task.model, "best": best}
    if config.average:
        modules["average"] = average
    if found:
        unpack(found[1], modules, optimizer)

    with RunLog(run, position.step, config.steps) as log:
        start, before = time.perf_counter(), position.seconds
        while position.step < config.steps and not _stale(position, config):
            task.schedule(optimizer, position.step)
            loss = _step(fabric, task, optimizer, position.step, config)
            if not math.isfinite(loss):
                raise InputError(
                    f"{run}: the loss of step {position.step} is {loss}; lower the rates"
                )
            position.step += 1
            position.images += task.batch_size
            if config.average:
                _follow(average, task.model, config.average, position.step)
            log.train(position.step, loss)
            if position.step % config.validate_every == 0 or position.step == config.steps:
                with fabric.autocast():
                    position.metrics = task.validate(average)
                _compare(position, config, average, best)
                position.seconds = before + time.perf_counter() - start
                log.validation(position)
                save_state(run, position, pack(modules, optimizer))
    task.model.load_state_dict((best if config.keep == "best" else average).state_dict())
    return position


def _step(fabric: Fabric, task: Task, optimizer: Optimizer, step: int, config: LoopConfig) -> float:
    # torch's generator reads the low 32 bits alone; the factor keeps the seeds' steps far apart
    seed = (config.seed * 0x9E3779B1 + step) % 2**32
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    task.model.train()
    optimizer.zero_grad()
    with fabric.autocast():
        loss = task.loss(generator)
    fabric.backward(loss)
    if config.clip:
        nn.utils.clip_grad_norm_(task.model.parameters(), config.clip)
    optimizer.step()
    return float(loss.detach())


def _stale(position: Position, config: LoopConfig) -> bool:
    return bool(config.patience) and position.stale >= config.patience


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move the average towards the model; the first steps move it more."""
    decay = min(decay, (step + 1) / (step + 10))
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _compare(position: Position, config: LoopConfig, average: nn.Module, best: nn.Module) -> None:
    if config.monitor not in position.metrics:
        there = ", ".join(position.metrics)
        raise InputError(f"loop.monitor {config.monitor!r} is not measured: there is {there}")
    value = position.metrics[config.monitor]
    if value > position.best_value:
        position.best_value, position.best_step, position.stale = value, position.step, 0
        best.load_state_dict(average.state_dict())
    else:
        position.stale += 1
