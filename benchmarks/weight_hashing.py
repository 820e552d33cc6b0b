"""What weight hashing does for OSLSM: hashed against learned, 1000 -> 4097.

    python benchmarks/weight_hashing.py --root DIR [--backbone handful-base] [--weights FILE]
                                        [--steps 300] [--seeds 3] [--out FILE.json]

DIR holds VOC 2012 and MSRC; what is trained and validated on is hold-out A's, so no test class is
seen. Both layers end the same conditioning branch and learn from the same episodes, seed by seed,
on the same kept features. The learned one begins with the variance that hashing gives. The
supplement's two claims are measured:

- the variance of {w, b}: over the supports of all classes, as a share of the mean square, so that
  the scale does not count; and the share of it that is found within classes;
- overfitting: mIoU on episodes of the classes that were trained on, and of classes that were not,
  and how much more a layer loses from the first to the second.

One JSON object is printed, and written to --out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handful.files import write_json
from handful.methods.oslsm import OSLSM, View
from handful.methods.oslsm.branches import Conditioning, Dense
from handful.metrics.segmentation import bootstrap_interval, mean_iou, paired_difference
from handful.provenance import describe_device, provenance
from handful.training.recipe import read_recipe
from handful.training.segmentation_photos import Validation, segmentation_data
from handful.training.tasks.oslsm import OSLSMOptions, OSLSMTask

OUTPUTS, WIDTH = 1000, 4096
OBJECT = get_args(View).index("object")
ARMS = ("hashed", "learned")
Counts = NDArray[np.int64]
Overlaps = tuple[Counts, Counts]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--backbone", default="handful-base")
    parser.add_argument("--weights")
    parser.add_argument("--layer", default="stride32")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--per-class", type=int, default=40)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    bench = Bench(asked)
    runs = {arm: [bench.run(arm, seed) for seed in range(asked.seeds)] for arm in ARMS}
    answer = {
        "protocol": "weight-hashing",
        "backbone": asked.backbone,
        "outputs": OUTPUTS,
        "coefficients": WIDTH + 1,
        "n": len(bench.unseen.episodes),
        "seeds": asked.seeds,
        "steps": asked.steps,
        "batch": bench.options.batch,
        "rate": asked.rate,
        "training_photos": len(bench.task.draws.files),
        "classes": {"seen": len(bench.task.draws.pools), "unseen": len(bench.unseen_classes)},
        "parameters": {"hashed": 0, "learned": (OUTPUTS + 1) * (WIDTH + 1)},
        **{arm: summary(found, bench) for arm, found in runs.items()},
        "hashed_less_learned": difference(runs, bench),
    }
    print(json.dumps(answer, indent=2))
    if asked.out is not None:
        origin = provenance([], 0, describe_device("cpu"))
        words = [*map(str, (asked.backbone, asked.steps, asked.seeds, asked.per_class))]
        names = ("--backbone", "--steps", "--seeds", "--per-class")
        parts = [f"{name} {word}" for name, word in zip(names, words, strict=True)]
        command = f"python benchmarks/weight_hashing.py --root data {' '.join(parts)}"
        write_json(asked.out, answer | origin | {"command": command})
    return 0


class Bench:
    """One task whose conditioning branch ends in either layer; the frozen features are shared."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        recipe = read_recipe("oslsm")
        about = {
            "backbone": asked.backbone,
            "weights": asked.weights,
            "data": "A",
            "never": recipe["options"]["never"],
            "layers": [asked.layer],
            "outputs": OUTPUTS,
            "width": WIDTH,
            "view": "object",
            "per_class": asked.per_class,
            "validation_episodes": asked.episodes,
        }
        self.options = OSLSMOptions.model_validate(about)
        dataset, seen, self.unseen_classes = segmentation_data(recipe, self.options, asked.root, 0)
        self.net = OSLSM(asked.backbone, [asked.layer], OUTPUTS, WIDTH, view="object")
        self.net.load_backbone(asked.weights)
        self.task = OSLSMTask(
            self.net, dataset, seen, self.unseen_classes, self.options, asked.steps, 0
        )
        self.unseen = self.task.validation
        self.seen = Validation(self.task.photos, seen, self.options)

    def run(self, arm: str, seed: int) -> dict[str, Any]:
        """Train one layer with one seed, and measure it."""
        start = time.perf_counter()
        self._begin(arm, seed)
        before = self._variance()
        # Adam: one rate suits both layers, whatever the scale of the features
        optimizer = torch.optim.Adam(self.task.model.parameters(), lr=self.asked.rate)
        losses = []
        for step in range(self.asked.steps):
            fall = 0.5 * (1 + math.cos(math.pi * step / self.asked.steps))
            optimizer.param_groups[0]["lr"] = self.asked.rate * fall
            optimizer.zero_grad()
            loss = self.task.loss(torch.Generator().manual_seed(10_000 * seed + step))
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(float(loss.detach()))
        found = {
            "loss": float(np.mean(losses[-50:])),
            "before": before,
            "after": self._variance(),
            "seen": self.seen.overlaps(self.task.answer),
            "unseen": self.unseen.overlaps(self.task.answer),
        }
        seconds = time.perf_counter() - start
        print(f"{arm} {seed}: loss {found['loss']:.3f}, {seconds:.0f} s", file=sys.stderr)
        return found

    def _begin(self, arm: str, seed: int) -> None:
        torch.manual_seed(seed)
        features = self.net.backbone.features
        head = self.net.conditioning = Conditioning(features, OUTPUTS, WIDTH, seed, OBJECT, 224)
        channels = {self.asked.layer: self.net.backbone.channels[self.asked.layer]}
        dense = self.net.dense = Dense(channels, WIDTH, 1)
        # one layer of 4,096 features is enough to compare what conditions them
        dense.add_module("second", nn.Identity())
        if arm == "learned":
            linear = nn.Linear(OUTPUTS, WIDTH + 1)
            nn.init.normal_(linear.weight, std=OUTPUTS**-0.5)
            nn.init.zeros_(linear.bias)
            head.add_module("hashing", linear)
        self.task.model = self.net.learner()

    @torch.no_grad()
    def _variance(self) -> dict[str, dict[str, float]]:
        """Return the variance of {w, b} over supports of seen and of unseen classes."""
        seen = [(int(photo), int(label)) for photo, label in self.task.draws.table]
        episodes = self.unseen.episodes
        unseen = {
            (int(photo), int(label))
            for (label,), (shots,) in zip(episodes.classes, episodes.support, strict=True)
            for photo in shots
        }
        return {"seen": self._spread(seen), "unseen": self._spread(sorted(unseen))}

    def _spread(self, supports: list[tuple[int, int]]) -> dict[str, float]:
        embeddings = torch.cat([self.task.embedding(*support) for support in supports])
        found = self.net.conditioning(embeddings)
        theta = torch.cat([found.weight, found.bias[:, None]], 1).double().numpy()
        labels = np.array([label for _, label in supports])
        means = np.stack([theta[labels == label].mean(0) for label in labels])
        total = theta.var(0).mean()
        return {
            "variance": float(total),
            "of_mean_square": float(total / np.square(theta).mean()),
            "within_classes": float(np.square(theta - means).mean() / total),
        }


def summary(runs: list[dict[str, Any]], bench: Bench) -> dict[str, Any]:
    """Return one layer's figures: mIoU of each part with its interval, and the mean variances."""
    parts = {"seen": bench.seen, "unseen": bench.unseen}
    found: dict[str, Any] = {"loss": round(float(np.mean([run["loss"] for run in runs])), 4)}
    for part, validation in parts.items():
        classes = validation.episodes.classes[:, 0]
        both, either, numbers = joined(runs, part, classes)
        found[part] = {
            "miou": round(mean_iou(both, either, numbers), 4),
            "interval": [round(x, 4) for x in bootstrap_interval(both, either, numbers)],
            "by_seed": [round(mean_iou(run[part][0], run[part][1], classes), 4) for run in runs],
        }
    found["lost"] = round(found["seen"]["miou"] - found["unseen"]["miou"], 4)
    for moment in ("before", "after"):
        found[f"variance_{moment}"] = {
            part: {
                name: float(f"{np.mean([run[moment][part][name] for run in runs]):.4g}")
                for name in runs[0][moment][part]
            }
            for part in parts
        }
    return found


def difference(runs: dict[str, list[dict[str, Any]]], bench: Bench) -> dict[str, Any]:
    """Return by how much hashing is above the learned layer, on the same episodes."""
    found: dict[str, Any] = {}
    for part, validation in (("seen", bench.seen), ("unseen", bench.unseen)):
        pairs = [joined(runs[arm], part, validation.episodes.classes[:, 0]) for arm in ARMS]
        gain, interval = paired_difference(pairs[0][:2], pairs[1][:2], pairs[0][2])
        found[part] = {"miou": round(gain, 4), "interval": [round(x, 4) for x in interval]}
    return found


def joined(runs: list[dict[str, Any]], part: str, classes: Counts) -> tuple[Counts, Counts, Counts]:
    """Return intersections, unions and classes of all seeds, (episodes, seeds)."""
    both, either = (np.stack([run[part][k] for run in runs], 1) for k in (0, 1))
    return both, either, np.repeat(classes[:, None], len(runs), 1)


if __name__ == "__main__":
    sys.exit(main())
