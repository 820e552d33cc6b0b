r"""What similarity mining adds to metric learning: paired runs, with and without, over seeds.

    python benchmarks/metric_learning.py caltech66 --root caltech66 --split caltech66-split.txt \
        --runs RUNS --out results
    python benchmarks/metric_learning.py lions --root lion-reid --runs RUNS --out results
    python benchmarks/metric_learning.py resnet50 --root caltech66 --split caltech66-split.txt \
        --weights resnet50.safetensors --runs RUNS --out results

Every run takes its options from the recipe of its loss; ``--set`` changes them for all. Runs are
those of ``handful train`` with the same options, but for that every photo is decoded and sent
through the frozen trunk once for all of them. What was validated best is measured on the test
classes: every photo as a query among all others, as ``handful evaluate retrieval`` does. The
untouched network stands beside, and of every run also the weights half-way back to it. A run that
ended is kept in RUNS and not repeated, one that was stopped goes on. ``lions`` trains on ``train``
and tests on ``val``; a quarter of the training lions, another for every seed, validates.
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
from torch import Tensor

from handful.backbones import build
from handful.backbones.tail import Tail
from handful.data.class_folders import ClassFolders, classes_of_role, read_class_folders
from handful.data.progress import track
from handful.files import write_json
from handful.metrics.accuracy import mean_interval
from handful.metrics.retrieval import retrieve
from handful.provenance import describe_device, provenance
from handful.training.frozen_photos import FrozenPhotos, freeze
from handful.training.loop import LoopConfig, train
from handful.training.recipe import options as read_options
from handful.training.recipe import read_recipe
from handful.training.tasks.metric_learning import MetricLearningOptions, make_task
from handful.training.tuning import tuning_classes

PAIRED = ("triplet", "quadruplet", "contrastive")
RIVALS = ("lifted-structure", "n-pair", "proxy-nca", "multi-similarity")
KS = (1, 2, 4, 8)
SHARES = (1.0, 0.5)
"""How far what is measured lies on the way from the untouched weights to the trained ones."""

Found = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One training: a loss, with mining or without, from a seed."""

    loss: str
    mining: bool
    seed: int

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.loss}-{'mining' if self.mining else 'plain'}-{self.seed}"

    def settings(self, given: Sequence[str]) -> list[str]:
        """Return what changes its recipe."""
        own = [f"seed={self.seed}", f"options.loss={self.loss}"]
        return [*given, *own, *([] if self.mining else ["options.gamma=0"])]


def runs_of(kind: str, seeds: int) -> Iterator[Run]:
    """Name the runs of a kind, those of one seed together."""
    losses = PAIRED if kind == "caltech66" else ("triplet",)
    for seed in range(1 if kind == "resnet50" else seeds):
        for loss in losses:
            yield Run(loss, False, seed)
            yield Run(loss, True, seed)
    if kind == "caltech66":
        for loss in RIVALS:
            yield Run(loss, False, 0)


class Bench:
    """The photos of one data set behind the frozen trunk of one backbone, and the runs on them."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.given = list(asked.set)
        self.folder = asked.runs / asked.kind
        if asked.kind == "resnet50":
            self.given += ["options.backbone=resnet50", f"options.weights={asked.weights}"]
        self.root, self.test_folder = asked.root, self._test_folder()
        if asked.kind == "lions":
            self.root = asked.root / "train"
        else:
            self.given.append(f"options.split={asked.split}")
        self.held: Found = {}
        self.photos: FrozenPhotos | None = None
        self.test: FrozenPhotos | None = None

    def _test_folder(self) -> ClassFolders:
        if self.asked.kind == "lions":
            return read_class_folders(self.asked.root / "val")
        return read_class_folders(self.asked.root, classes_of_role(self.asked.split, "test"))

    def measure(self, run: Run | None) -> Found:
        """Train one run and measure it; None: the untouched network."""
        path = self.folder / f"{run.name if run else 'untouched'}.json"
        if path.exists():
            found: Found = json.loads(path.read_text("utf-8"))
            return found
        start = time.perf_counter()
        recipe = read_recipe(*self._recipe(run))
        options = read_options(MetricLearningOptions, recipe)
        loop = LoopConfig(seed=recipe["seed"], **recipe["loop"])
        backbone = build(options.backbone).load(options.weights)
        torch.manual_seed(loop.seed)
        tail = Tail(backbone, options.features)
        folder, held = tuning_classes(recipe, options, self.root, loop.seed)
        if self.photos is None or self.test is None:
            self.photos = freeze(tail, backbone, folder, options.size)
            self.test = freeze(tail, backbone, self.test_folder, options.size, mirror=False)
            start = time.perf_counter()
        task = make_task(tail, self.photos, held, options, loop)
        value: Found = {"loss": None, "mining": False, "seed": None}
        if run is not None:
            ended = train(task, loop, self.folder / run.name, resume=True)
            value = {"loss": run.loss, "mining": run.mining, "seed": run.seed}
            value["best_step"] = ended.best_step
            value["options"] = options.model_dump(exclude={"weights", "split", "backbone"})
            value["loop"] = recipe["loop"]
        value["validation"] = task.validate(task.model)
        value["shares"] = {
            str(share): self._retrieve(task.vectors(task.kept(task.model, share), self.test))
            for share in (SHARES if run is not None else SHARES[:1])
        }
        value |= {
            "size": options.size,
            "backbone": options.backbone,
            "seconds": round(time.perf_counter() - start, 1),
        }
        write_json(path, value)
        return value

    def _recipe(self, run: Run | None) -> tuple[str, list[str]]:
        name = run.loss if run and run.loss in PAIRED else "triplet"
        return name, (run or Run("triplet", False, 0)).settings(self.given)

    def _retrieve(self, features: Tensor) -> Found:
        assert self.test is not None
        vectors = features.numpy()
        found = retrieve(vectors @ vectors.T, self.test.index.numpy(), KS)
        return {
            **{f"recall@{k}": found.recall_at(k) for k in KS},
            "interval": list(found.interval_at(1)),
            "map@r": found.map_at_r,
            "hits": "".join(str(int(hit)) for hit in found.recall[:, 0]),
        }


def summary(runs: Sequence[Found], loss: str, share: str) -> Found | None:
    """Compare the runs of a loss with mining and without, seed by seed and query by query."""
    sides = [
        {r["seed"]: r["shares"][share] for r in runs if r["loss"] == loss and r["mining"] is on}
        for on in (False, True)
    ]
    seeds = sorted(set(sides[0]) & set(sides[1]))
    if not seeds:
        return None
    hits = [np.mean([[*map(int, s[seed]["hits"])] for seed in seeds], axis=0) for s in sides]
    plain, mined = ([side[seed]["recall@1"] for seed in seeds] for side in sides)
    gain = np.subtract(mined, plain)
    return {
        "loss": loss,
        "share": float(share),
        "seeds": seeds,
        "without": _mean(sides[0], seeds),
        "with": _mean(sides[1], seeds),
        "difference": {
            "each": gain.tolist(),
            "mean": float(gain.mean()),
            "deviation": float(gain.std(ddof=1)) if len(seeds) > 1 else None,
            "interval": list(mean_interval(hits[1] - hits[0])),
        },
    }


def _mean(side: dict[int, Found], seeds: Sequence[int]) -> Found:
    values = {key: [side[seed][key] for seed in seeds] for key in ("recall@1", "map@r")}
    return {**values, "mean": {key: float(np.mean(each)) for key, each in values.items()}}


def gather(bench: Bench, untouched: Found, runs: Sequence[Found]) -> Found:
    """Return the whole of it as one result."""
    asked = bench.asked
    losses = list(dict.fromkeys(run["loss"] for run in runs))
    each = [summary(runs, loss, str(share)) for share in SHARES for loss in losses]
    paired = [found for found in each if found is not None]
    gains = {
        str(share): [g for p in paired if p["share"] == share for g in p["difference"]["each"]]
        for share in SHARES
    }
    first = untouched["shares"][str(SHARES[0])]
    argv = [asked.kind, "--root", asked.root.name]
    argv += [] if asked.split is None else ["--split", asked.split.name]
    argv += [] if asked.weights is None else ["--weights", asked.weights.name]
    argv += [word for change in asked.set for word in ("--set", change)]
    origin = provenance([], 0, describe_device("auto"))
    origin["command"] = " ".join(["python benchmarks/metric_learning.py", *argv])
    return {
        "protocol": "metric-learning",
        "dataset": "lion-reid" if asked.kind == "lions" else "caltech66",
        "model": "metric-learning",
        "backbone": untouched["backbone"],
        "size": untouched["size"],
        "n": len(first["hits"]),
        "metrics": {
            "difference": {share: float(np.mean(gain)) for share, gain in gains.items()},
            "runs": len(gains[str(SHARES[0])]),
        },
        "untouched": _without_hits(first) | {"validation": untouched["validation"]},
        "paired": paired,
        "runs": [
            run | {"shares": {s: _without_hits(found) for s, found in run["shares"].items()}}
            for run in runs
        ],
    } | origin


def _without_hits(found: Found) -> Found:
    return {key: value for key, value in found.items() if key != "hits"}


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("kind", choices=("caltech66", "lions", "resnet50"))
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--split", type=Path, help="lines 'CLASS ROLE' of caltech66")
    parser.add_argument("--weights", type=Path, help="of resnet50")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the result")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], help="key=value, for every recipe")
    asked = parser.parse_args()
    bench = Bench(asked)
    untouched = bench.measure(None)
    names = [*runs_of(asked.kind, asked.seeds)]
    runs = []
    for run in track(names, "runs", len(names)):
        runs.append(bench.measure(run))
        recalls = [f"{found['recall@1']:.4f}" for found in runs[-1]["shares"].values()]
        print(run.name, *recalls, file=sys.stderr, flush=True)
        result = asked.out / f"metric-learning-{asked.kind}.json"
        if summary(runs, runs[0]["loss"], str(SHARES[0])) is not None:
            write_json(result, gather(bench, untouched, runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
