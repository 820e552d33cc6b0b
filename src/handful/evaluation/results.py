"""A measured result, what it is printed as, and how it came about."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handful.files import replacing, write_json
from handful.provenance import provenance


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


def record(
    result: Result, argv: Sequence[str], seed: int, device: str, sha256: str | None = None
) -> dict[str, Any]:
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
    sha256 : str, optional
        Digest of the weights that were measured.
    """
    return {
        **result.to_json(),
        "sha256": sha256,
        **provenance(argv, seed, device),
    }


def result_path(out: str | os.PathLike[str], result: Result, detail: str = "") -> Path:
    """Return the file a result is written to: `out` itself if it ends in .json, or a name in it.

    Examples
    --------
    >>> result = Result("lake", "hausdorff", "none", 400, {}, [], 1.0, {"dataset": "omniglot"})
    >>> result_path("results", result).as_posix()
    'results/lake-omniglot-hausdorff.json'
    >>> result_path("results", Result("reid", "prototypes:resnet50", "", 1, {}, [], 1.0)).name
    'reid-prototypes-resnet50.json'
    """
    out = Path(out)
    if out.suffix == ".json":
        return out
    parts = [result.protocol, str(result.settings.get("dataset", "")), result.model, detail]
    # no system's file names may be unable to hold METHOD:BACKBONE
    return out / ("-".join(part for part in parts if part).replace(":", "-") + ".json")


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
