"""What ``handful evaluate hashing`` wrote, read back for its figures."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from handful.errors import InputError

Over = Literal["shots", "bits"]

METRICS = {"map": "mAP", "precision@2": "precision@2"}
"""By its name in a file, what is written beside the axis."""

_SETUP = ("n", "database", "classes", "size", "crops", "seed")


@dataclass(frozen=True)
class Point:
    """What one results file says.

    Attributes
    ----------
    file : str
        Its name.
    model, dataset, backbone : str
        What was measured.
    shots, bits, repeats : int
        Examples of a class, the length of a code, and how often examples were drawn.
    values : dict
        Of each of `METRICS`, the mean over the repeats, in [0, 1].
    intervals : dict
        Their 95 % intervals; only of those that the file has them of.
    setup : dict
        What else has to be equal for two points to stand in one figure.
    published : tuple of dict
        The published rows of the same setting.
    """

    file: str
    model: str
    dataset: str
    backbone: str
    shots: int
    bits: int
    repeats: int
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    setup: dict[str, Any]
    published: tuple[dict[str, Any], ...]

    def at(self, over: Over) -> int:
        """Return its place on the axis."""
        return self.shots if over == "shots" else self.bits

    def to_json(self) -> dict[str, Any]:
        """Return what is drawn of it."""
        found = {"shots": self.shots, "bits": self.bits, **self.values}
        return {**found, "intervals": self.intervals, "file": self.file}


def read_points(folder: str | os.PathLike[str]) -> list[Point]:
    """Read the results of ``handful evaluate hashing`` in a folder.

    Raises
    ------
    InputError
        There are none, or a file is damaged.
    """
    paths = sorted(Path(folder).glob("hashing-*.json"))
    if not paths:
        raise InputError(
            f"{folder}: holds no hashing-*.json; give what `handful evaluate hashing --out` wrote"
        )
    return [_read(path) for path in paths]


def _read(path: Path) -> Point:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        metrics = found["metrics"]
        intervals = {
            metric: (float(metrics[key][0]), float(metrics[key][1]))
            for metric, key in (("map", "interval"), ("precision@2", "interval@2"))
            if key in metrics
        }
        return Point(
            path.name,
            str(found["model"]),
            str(found["dataset"]),
            str(found["backbone"]),
            int(found["shots"]),
            int(found["bits"]),
            int(found["repeats"]),
            {metric: float(metrics[metric]) for metric in METRICS},
            intervals,
            {key: found[key] for key in _SETUP if key in found} | {"seed": int(found["seed"])},
            tuple(found["published"]),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        raise InputError(f"{path}: is no result of `handful evaluate hashing`; remove it") from None
