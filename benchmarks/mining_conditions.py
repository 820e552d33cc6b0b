r"""What the gain of similarity mining hangs on: its soft mask, and how much training has to teach.

    python benchmarks/mining_conditions.py --root caltech66 --split caltech66-split.txt \
        --runs RUNS --out results

Triplet runs with mining and without, three seeds each, all measured on the validation classes:

``masks``   the slope and the threshold of the soft mask;
``fresh``   the trained layers begin from random numbers instead of ImageNet's, so that what the
            network knows of its last layers it learns from these few classes.

A run that ended is kept in RUNS and not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from handful.backbones import build
from handful.backbones.tail import Tail
from handful.data.progress import track
from handful.files import write_json
from handful.provenance import describe_device, provenance
from handful.training.frozen_photos import FrozenPhotos, freeze
from handful.training.loop import LoopConfig, train
from handful.training.recipe import options as read_options
from handful.training.recipe import read_recipe
from handful.training.tasks.metric_learning import MetricLearningOptions, make_task
from handful.training.tuning import tuning_classes

MASKS = ((10.0, 0.3), (10.0, 0.5), (10.0, 0.7), (5.0, 0.5), (20.0, 0.5))
FRESH = ("loop.steps=150", "loop.validate_every=50", "options.rate=1e-3", "options.share=1.0")
SCORES = ("recall@1", "map@r")

Found = dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """What a run is trained under."""

    fresh: bool
    mask: tuple[float, float] | None

    def name(self, seed: int) -> str:
        """Return what the folder of a run is called."""
        mined = "plain" if self.mask is None else "mask-{:g}-{:g}".format(*self.mask)
        return f"{'fresh' if self.fresh else 'tuned'}-{mined}-{seed}"

    def settings(self, seed: int) -> list[str]:
        """Return what changes the recipe."""
        found = [f"seed={seed}", *(FRESH if self.fresh else ())]
        if self.mask is None:
            return [*found, "options.gamma=0"]
        return [*found, f"options.slope={self.mask[0]}", f"options.threshold={self.mask[1]}"]


def conditions() -> Iterator[Condition]:
    """Name the conditions, those without mining first."""
    yield Condition(False, None)
    yield from (Condition(False, mask) for mask in MASKS)
    yield Condition(True, None)
    yield Condition(True, (10.0, 0.5))


def measure(
    asked: argparse.Namespace, condition: Condition, seed: int, photos: list[FrozenPhotos]
) -> Found:
    """Train one run and measure it on the validation classes; `photos` is filled once."""
    name = condition.name(seed)
    path = asked.runs / f"{name}.json"
    if path.exists():
        found: Found = json.loads(path.read_text("utf-8"))
        return found
    settings = [*condition.settings(seed), f"options.split={asked.split}"]
    recipe = read_recipe("triplet", settings)
    options = read_options(MetricLearningOptions, recipe)
    loop = LoopConfig(seed=seed, **recipe["loop"])
    backbone = build(options.backbone).load(None)
    torch.manual_seed(seed)
    tail = Tail(backbone, options.features)
    folder, held = tuning_classes(recipe, options, asked.root, seed)
    if not photos:
        photos.append(freeze(tail, backbone, folder, options.size))
    if condition.fresh:
        begin_anew(tail)
    start = time.perf_counter()
    task = make_task(tail, photos[0], held, options, loop)
    before = task.validate(task.model)
    ended = train(task, loop, asked.runs / name, resume=True)
    scores = task.validate(task.model)
    found = {
        "seed": seed,
        "n": len(task.validation.index),
        "best_step": ended.best_step,
        "before": {score: before[score] for score in SCORES},
        "after": {score: scores[score] for score in SCORES},
        "seconds": round(time.perf_counter() - start, 1),
    }
    write_json(path, found)
    return found


def begin_anew(tail: Tail) -> None:
    """Draw the weights of a tail anew, of the variance that keeps signals as strong as they are."""
    for part in tail.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def compare(plain: Sequence[Found], mined: Sequence[Found]) -> Found:
    """Pair the runs of the same seeds."""
    found: Found = {}
    for score in SCORES:
        sides = [np.array([run["after"][score] for run in side]) for side in (plain, mined)]
        gain = sides[1] - sides[0]
        found[score] = {
            "without": float(sides[0].mean()),
            "with": float(sides[1].mean()),
            "gain": float(gain.mean()),
            "each": gain.round(6).tolist(),
        }
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True, help="lines 'CLASS ROLE'")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the result")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    known, photos = [*conditions()], list[FrozenPhotos]()
    jobs = [(condition, seed) for condition in known for seed in range(asked.seeds)]
    runs: dict[Condition, list[Found]] = {condition: [] for condition in known}
    for condition, seed in track(jobs, "runs", len(jobs)):
        runs[condition].append(measure(asked, condition, seed, photos))
        print(condition.name(seed), runs[condition][-1]["after"], file=sys.stderr, flush=True)
    rows = [
        {
            "begin": "random" if condition.fresh else "ImageNet",
            "slope": condition.mask[0],
            "threshold": condition.mask[1],
            "before": runs[condition][0]["before"],
            **compare(runs[Condition(condition.fresh, None)], runs[condition]),
        }
        for condition in known
        if condition.mask is not None
    ]
    argv = ["--root", asked.root.name, "--split", asked.split.name, "--seeds", str(asked.seeds)]
    origin = provenance([], 0, describe_device("auto"))
    origin["command"] = " ".join(["python benchmarks/mining_conditions.py", *argv])
    answer = {
        "protocol": "mining-conditions",
        "dataset": "caltech66",
        "model": "metric-learning",
        "backbone": "handful-base",
        "n": runs[known[0]][0]["n"],
        "metrics": {
            f"{r['begin']}-{r['slope']:g}-{r['threshold']:g}": r["map@r"]["gain"] for r in rows
        },
        "rows": rows,
    }
    write_json(asked.out / "mining-conditions-caltech66.json", answer | origin)
    return 0


if __name__ == "__main__":
    sys.exit(main())
