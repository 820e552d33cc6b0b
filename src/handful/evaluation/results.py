"""A measured result, what it is printed as, and how it came about."""

from __future__ import annotations

import csv
import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from handful import __version__
from handful.files import replacing, write_json


@dataclass(frozen=True)
class Result:
    """What one protocol measured of one model.

    Attributes
    ----------
    protocol : str
        The name under which published rows are kept.
    model, backbone : str
        What was measured.
    n : int
        How many queries the main metric counts.
    metrics : dict
        By name; shares are in [0, 1].
    published : list of dict
        The papers' rows of the same protocol.
    seconds : float
        Wall time of encoding and scoring.
    settings : dict
        What else tells two results of the protocol apart, such as ways and shots; printed at the
        top level.
    rows : list of dict
        One per query, for ``--per-episode``; not printed.
    """

    protocol: str
    model: str
    backbone: str
    n: int
    metrics: dict[str, Any]
    published: list[dict[str, Any]]
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return what ``handful evaluate --json`` prints."""
        return {
            "protocol": self.protocol,
            "model": self.model,
            "backbone": self.backbone,
            **self.settings,
            "n": self.n,
            "metrics": self.metrics,
            "published": self.published,
            "seconds": round(self.seconds, 3),
        }


def record(result: Result, argv: Sequence[str], seed: int, device: str) -> dict[str, Any]:
    """Return a result with how it came about, for a file that others quote.

    Parameters
    ----------
    result : Result
        What was measured.
    argv : sequence of str
        The arguments after ``handful``. Folders are cut down to their last name, so that no
        path of the machine is kept.
    seed : int
        What the episodes were drawn from.
    device : str
        Where the model ran.
    """
    return {
        **result.to_json(),
        "command": command_line(argv),
        "seed": seed,
        "versions": {
            "handful": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "date": datetime.now(UTC).date().isoformat(),
        "device": device,
    }


def command_line(argv: Sequence[str]) -> str:
    """Write arguments as one line to type, with only the last name of every path.

    Examples
    --------
    >>> command_line(["evaluate", "omniglot", "--root", "/home/me/omniglot-py/", "--out=../r"])
    'handful evaluate omniglot --root omniglot-py --out=r'
    """
    words = []
    for word in argv:
        option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        if os.sep in value:
            value = Path(os.path.normpath(value)).name
        words.append(shlex.quote(option + equals + value))
    return " ".join(["handful", *words])


def describe_device(device: str) -> str:
    """Name the kind of device a model ran on; nothing that tells one machine from another.

    Examples
    --------
    >>> describe_device("cpu").split(",")[0]
    'cpu'
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and torch.cuda.is_available():
        return f"{device} ({torch.cuda.get_device_name(torch.device(device))})"
    return f"cpu, threads: {torch.get_num_threads()}" if device == "cpu" else device


def result_path(out: str | os.PathLike[str], result: Result, detail: str = "") -> Path:
    """Return the file a result is written to: `out` itself if it ends in .json, or a name in it.

    Examples
    --------
    >>> result = Result("lake", "hausdorff", "none", 400, {}, [], 1.0, {"dataset": "omniglot"})
    >>> result_path("results", result).as_posix()
    'results/lake-omniglot-hausdorff.json'
    """
    out = Path(out)
    if out.suffix == ".json":
        return out
    parts = [result.protocol, str(result.settings.get("dataset", "")), result.model, detail]
    return out / ("-".join(part for part in parts if part) + ".json")


def write_record(path: Path, value: dict[str, Any]) -> None:
    """Write what :func:`record` gave."""
    write_json(path, value)


def write_rows(path: str | os.PathLike[str], results: Sequence[Result]) -> None:
    """Write one CSV row per query of every result, the model first."""
    rows = [{"model": result.model, **row} for result in results for row in result.rows]
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
