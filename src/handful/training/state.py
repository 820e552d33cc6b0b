"""The state of a run on disk: safetensors for tensors, JSON for the rest, never half of it.

A state is one tensor file and ``state.json``, which names it and is replaced last: whatever
moment a run is killed at, ``state.json`` points at a whole state.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from handful.errors import InputError
from handful.files import replacing, write_json


@dataclass
class Position:
    """Where a run stands; everything that is not a tensor.

    Attributes
    ----------
    step : int
        Optimiser steps taken.
    best_step : int
        The step of the best validation so far, -1 before the first.
    best_value : float
        Its monitored value.
    stale : int
        Validations since then.
    seconds : float
        Training time so far, validation included.
    images : int
        Training images seen.
    precision : str
        The precision that the run began with and keeps.
    """

    step: int = 0
    best_step: int = -1
    best_value: float = float("-inf")
    stale: int = 0
    seconds: float = 0.0
    images: int = 0
    precision: str = "32-true"
    metrics: dict[str, float] = field(default_factory=dict)


def save_state(run: Path, position: Position, tensors: dict[str, Tensor]) -> None:
    """Write a state into the folder `run` and remove the one before."""
    name = f"state-{position.step:08d}.safetensors"
    with replacing(run / name) as part:
        save_file({key: value.contiguous() for key, value in tensors.items()}, part)
    write_json(run / "state.json", {"file": name, **vars(position)})
    for old in run.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def holds_run(run: Path) -> bool:
    """Say whether a folder holds the state of a run."""
    return (run / "state.json").exists()


def load_state(run: Path) -> tuple[Position, dict[str, Tensor]] | None:
    """Read the newest whole state of a run, or None where it has none yet.

    Raises
    ------
    InputError
        ``state.json`` is damaged, or names a file that is not there.
    """
    pointer = run / "state.json"
    if not pointer.exists():
        return None
    try:
        fields: dict[str, Any] = json.loads(pointer.read_text(encoding="utf-8"))
        file = run / fields.pop("file")
        position = Position(**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{pointer}: damaged; start again in a new --out folder") from None
    if not file.exists():
        raise InputError(f"{pointer}: {file.name} is missing; start again in a new --out folder")
    return position, load_file(file)


def clear_leftovers(run: Path) -> None:
    """Remove the half-written files of a killed run from the folder `run`."""
    for leftover in run.glob(".*.part*"):
        leftover.unlink()


def pack(modules: dict[str, nn.Module], optimizer: Optimizer) -> dict[str, Tensor]:
    """Gather all tensors of a run under flat names."""
    tensors = {
        f"{name}/{key}": value.detach().cpu()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimizer/{index}/{key}"] = value.detach().cpu()
    return tensors


def unpack(tensors: dict[str, Tensor], modules: dict[str, nn.Module], optimizer: Optimizer) -> None:
    """Put the tensors of :func:`pack` back, in place."""
    for name, module in modules.items():
        prefix = f"{name}/"
        own = {key[len(prefix) :]: t for key, t in tensors.items() if key.startswith(prefix)}
        module.load_state_dict(own)
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, field_name = key.split("/")
            state.setdefault(int(index), {})[field_name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    # files know no memory order: mixed ones are slow, and may round otherwise than before
    for parameter, found in optimizer.state.items():
        for key, value in found.items():
            if value.shape == parameter.shape:
                found[key] = torch.empty_like(parameter).copy_(value)
