"""Why UGH's selection does not beat random functions here: one condition changed at a time.

    python benchmarks/ugh_order.py RUN --root DIR [--list FILE] --work FOLDER [--out FILE.json]

RUN is the folder of `handful train hash-library`: its corpus and its rounds. DIR is a folder of
classes that nothing is reported on; FILE names those to use, see hash_library_rounding.py. Ten
classes are drawn in each repeat, with their queries and examples; mAP of 16 bits over the rest of
their photos. Compared are, on the same draws,

- the number of functions: 500, 2,000, 8,000 and all, the first of the run;
- the corpus: 2,000 functions learned on either half of it, which share no class;
- the loss: 2,000 functions by the hinge loss and the authors' solver, as published;
- learning at all: 2,000 planes through the origin, drawn at random;
- the selection: shared, by similarity (ours), of one category (it knows the query's class), all.

One JSON object is printed, and written to --out. FOLDER keeps the rounds, so a run goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from handful import methods
from handful.data.class_folders import read_class_folders
from handful.data.progress import track
from handful.evaluation.hashing_data import class_numbers
from handful.evaluation.protocols.hashing import Setting, Task, measure
from handful.files import write_json
from handful.methods.hashing import HashLibrary, Settings, hyper_train
from handful.methods.hashing.features import features_of
from handful.methods.hashing.hyper_training import gather
from handful.metrics.accuracy import mean_interval
from handful.provenance import describe_device, provenance
from hash_library_rounding import BITS, CLASSES, SHOTS, chosen, draw

FEW = 200
"""Rounds of a library that is trained here."""

SELECTIONS = ("ugh-random", "ugh", "ugh-similarity", "ugh-category")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--list", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--workers", type=int, default=-1)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    folder = chosen(read_class_folders(asked.root), asked.list)
    read, kept = features_of(methods.load("handful-base", device="cpu"), folder)
    number = class_numbers(read.labels, folder.classes)
    tasks = [draw(kept, number, seed) for seed in range(asked.repeats)]
    found: dict[str, dict[str, Any]] = {}
    for name, library in libraries(asked.run, asked.work, asked.workers).items():
        # all codes of a library that is wide: the same as its features, at a hundred times the cost
        models = [*SELECTIONS, "all-codes"] if len(library) == 10 * FEW else [*SELECTIONS]
        found[name] = {f"{shots} shots": arm(tasks, library, models, shots) for shots in SHOTS}
        print(name, json.dumps(found[name]), file=sys.stderr, flush=True)
    answer = {
        "protocol": "ugh-order",
        "backbone": "handful-base",
        "dataset": f"{asked.root.name}, {len(folder.classes)} classes",
        "classes": CLASSES,
        "bits": BITS,
        "n": asked.repeats,
        "libraries": found,
    }
    print(json.dumps(answer, indent=2))
    if asked.out is not None:
        origin = provenance([], 0, describe_device("cpu"))
        command = f"python benchmarks/ugh_order.py {asked.run.name} --root {asked.root.name}"
        command += f" --list {asked.list and asked.list.name} --repeats {asked.repeats}"
        write_json(asked.out, answer | origin | {"command": command})
    return 0


def libraries(run: Path, work: Path, workers: int) -> dict[str, HashLibrary]:
    """Return the library of each condition, hyper-training those that are not in the run."""
    corpus = np.load(next((run / "features").glob("*.npy")), mmap_mode="r")
    rounds = len(list((run / "rounds").glob("round-*.safetensors")))
    every = gather(run / "rounds", rounds)
    found = {f"{count:,} functions": every.take(range(count)) for count in (500, 2000, 8000)}
    found[f"{len(every):,} functions"] = every
    middle = len(corpus) // 2  # in the order of the classes' names
    for name, rows, settings in (
        ("first half of the corpus", corpus[:middle], Settings()),
        ("second half of the corpus", corpus[middle:], Settings()),
        ("hinge loss, the authors' solver", corpus, Settings(loss="hinge", solver="reference")),
    ):
        place = work / name.replace(" ", "-").replace(",", "").replace("'", "")
        found[name] = hyper_train(rows, place, FEW, 1, settings, workers)
    drawn = np.random.default_rng(0).standard_normal((10 * FEW, corpus.shape[1]))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    found["planes at random"] = HashLibrary(
        drawn.astype(np.float32), np.zeros(len(drawn), np.float32)
    )
    return found


def arm(
    tasks: list[Task], library: HashLibrary, models: list[str], shots: int
) -> dict[str, dict[str, Any]]:
    """Return mAP of each selection, and what it has more than random functions of the library."""
    maps: dict[str, list[float]] = {model: [] for model in models}
    for task in track(tasks, "drawing", len(tasks)):
        own = replace(task, library=library)
        for result in measure(own, models, Setting(shots, BITS, repeats=2)):
            maps[result.model].append(result.metrics["map"])
    chance = np.array(maps["ugh-random"])
    found = {}
    for model, values in maps.items():
        more = np.array(values) - chance
        found[model] = {
            "map": float(np.mean(values)),
            "more_than_random": float(more.mean()),
            "interval": [*mean_interval(more)] if model != "ugh-random" else None,
        }
    return found


if __name__ == "__main__":
    sys.exit(main())
