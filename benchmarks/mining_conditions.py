r"""What the gain of similarity mining hangs on: its soft mask, and how much training has to teach.

    python benchmarks/mining_conditions.py --root caltech66 --split caltech66-split.txt \
        --runs RUNS --out results

Triplet runs with mining and without, three seeds each, measured on the validation classes:

- the slope and the threshold of the soft mask;
- the trained layers begin from random numbers instead of ImageNet's, so that what the network knows
  of its last layers it learns from these few classes.

And on the test classes, of which nothing is chosen: queries of which a square is hidden, a quarter
or half of the photo, as mining has the network recognize what is left.

A run that ended is kept in RUNS and not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handful.backbones import build
from handful.backbones.tail import Tail
from handful.data.class_folders import classes_of_role, read_class_folders
from handful.data.progress import track
from handful.files import write_json
from handful.metrics.retrieval import retrieve
from handful.provenance import describe_device, provenance
from handful.training.frozen_photos import FrozenPhotos, freeze
from handful.training.loop import LoopConfig, train
from handful.training.recipe import options as read_options
from handful.training.recipe import read_recipe
from handful.training.tasks.metric_learning import MetricLearningOptions, make_task
from handful.training.tuning import TuningTask, tuning_classes

MASKS = ((10.0, 0.3), (10.0, 0.5), (10.0, 0.7), (5.0, 0.5), (20.0, 0.5))
FRESH = ("loop.steps=150", "loop.validate_every=50", "options.rate=1e-3", "options.share=1.0")
SCORES = ("recall@1", "map@r")
HIDDEN = (0.0, 0.25, 0.5)
"""Shares of a query that are hidden."""

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
    """Train one run and measure it; `photos` is filled once: those to train on, those to test on.

    Of the latter there are whole ones first, then those with more and more hidden.
    """
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
        tested = read_class_folders(asked.root, classes_of_role(asked.split, "test"))
        whole = freeze(tail, backbone, tested, options.size, mirror=False)
        photos.extend(hidden(whole, tail, share) for share in HIDDEN)
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
        "hidden": found_when_hidden(task, photos[1:]),
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


def hidden(photos: FrozenPhotos, tail: Tail, share: float) -> FrozenPhotos:
    """Return photos with a square of the mean colour over so large a share of each."""
    side = photos.pixels.shape[-1]
    width = round(side * share**0.5)
    colour = np.array(photos.mean, np.float32)[:, None, None] * 255
    rng, pixels = np.random.default_rng(0), photos.pixels.copy()
    for photo in pixels:
        top, left = rng.integers(0, side - width + 1, 2)
        photo[:, top : top + width, left : left + width] = colour.round()
    changed = replace(photos, pixels=pixels)
    with torch.no_grad():
        rows = torch.arange(len(pixels)).split(64)
        maps = [tail.trunk(changed.images(part, torch.zeros(len(part)))) for part in rows]
    return replace(changed, frozen=torch.cat(maps)[:, None].half())


def found_when_hidden(task: TuningTask, tested: Sequence[FrozenPhotos]) -> Found:
    """Look up photos with something hidden among the whole ones."""
    kept = task.kept(task.model)
    gallery = task.vectors(kept, tested[0]).numpy()
    found: Found = {}
    for share, photos in zip(HIDDEN, tested, strict=True):
        queries = task.vectors(kept, photos).numpy()
        measured = retrieve(queries @ gallery.T, photos.index.numpy(), (1,))
        found[f"{share:g}"] = {"recall@1": measured.recall_at(1), "map@r": measured.map_at_r}
    return found


def compare(plain: Sequence[Found], mined: Sequence[Found]) -> Found:
    """Pair the runs of the same seeds."""
    found: Found = {}
    for score in SCORES:
        sides = [np.array([run["after"][score] for run in side]) for side in (plain, mined)]
        found[score] = pair(*sides)
    found["hidden"] = {}
    for share in plain[0]["hidden"]:
        sides = [
            np.array([run["hidden"][share]["recall@1"] for run in side]) for side in (plain, mined)
        ]
        found["hidden"][share] = pair(*sides)
    return found


def pair(plain: NDArray[np.float64], mined: NDArray[np.float64]) -> Found:
    """Return the means over the seeds, and what mining gains."""
    gain = mined - plain
    return {
        "without": float(plain.mean()),
        "with": float(mined.mean()),
        "gain": float(gain.mean()),
        "each": gain.round(6).tolist(),
    }


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
