"""Keep the thresholds of presence: ``python -m handful.evaluation.thresholds RESULT.json ...``.

The results are those of ``handful evaluate segmentation --dataset validation --absent N --out``.
The threshold that holds back one present class in ten goes into the package's table, with the
digest of the weights of several methods as one; or, where the result is of weights in a run's
folder, named by ``--run RUN`` before the result, into the card there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handful import zoo
from handful.errors import HandfulError, InputError
from handful.files import write_json, write_text
from handful.methods.masks.thresholds import KEY, TABLE, full_name

_KEPT = ("auroc", "present", "absent")


def keep_threshold(result: Path, run: Path | None = None, table: Path = TABLE) -> float:
    """Keep the threshold that a result found.

    Parameters
    ----------
    result : Path
        What ``handful evaluate segmentation --dataset validation --absent N`` wrote.
    run : Path, optional
        The folder of the weights that were measured, with their card.
    table : Path
        Where the thresholds of methods without weights of their own are kept.

    Returns
    -------
    float
        The threshold.

    Raises
    ------
    InputError
        A result of other classes or without absent ones, or of other weights than the run's.
    """
    found = json.loads(result.read_text(encoding="utf-8"))
    if found.get("dataset") != "validation":
        raise InputError(f"{result}: thresholds are chosen on --dataset validation alone")
    presence = found["metrics"].get("presence")
    if presence is None:
        raise InputError(f"{result}: says nothing of absent classes; measure with --absent 500")
    threshold = round(float(presence["careful"]), 4)
    if run is not None:
        _into_card(result, found, run, threshold)
    elif found.get("sha256") is not None and "+" not in found["model"]:
        raise InputError(f"{result}: was measured with weights; name their folder by --run")
    else:
        kept = json.loads(table.read_text(encoding="utf-8"))
        kept[full_name(found["model"])] = {
            "threshold": threshold,
            **{name: presence[name] for name in _KEPT},
            "seed": found["seed"],
        }
        if found.get("sha256") is not None:
            kept[full_name(found["model"])]["sha256"] = found["sha256"]
        write_json(table, dict(sorted(kept.items())))
    return threshold


def _into_card(result: Path, found: dict[str, Any], run: Path, threshold: float) -> None:
    card = zoo.card(run)
    if card.sha256 is None or found.get("sha256") != card.sha256:
        raise InputError(f"{result}: is of other weights than {run}: measure those")
    changed = card.model_copy(update={"calibration": {**(card.calibration or {}), KEY: threshold}})
    write_text(run / "card.json", changed.model_dump_json(indent=2) + "\n")


def main(arguments: Sequence[str]) -> int:
    """Run the program; return its exit status."""
    words = list(arguments)
    run = None
    if words[:1] == ["--run"] and len(words) > 1:
        run, words = Path(words[1]), words[2:]
    if not words or (run is not None and len(words) > 1):
        print(__doc__, file=sys.stderr)
        return 2
    for name in words:
        try:
            threshold = keep_threshold(Path(name), run)
        except (HandfulError, OSError, ValueError, KeyError) as error:
            print(f"thresholds: {error}", file=sys.stderr)
            return 2
        print(f"{name}: {threshold}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
