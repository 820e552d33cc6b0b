"""What rounding the bundled hash functions to bytes costs.

    python benchmarks/hash_library_rounding.py RUN --root DIR [--list FILE] [--out FILE.json]

RUN is the folder of `handful train handful-library`: its rounds hold the functions before they are
rounded. DIR is a folder of classes; FILE names the classes to use, one a line as ``NAME ROLE``, of
which train and validation are taken; all classes without it. None of the functions was learned on
these photos. Measured are

- the share of bits that flip, over all functions and photos;
- mAP of `handful-votes` and of random functions with both libraries, on the same draws: classes
  and their examples are drawn anew in each repeat.

One JSON object is printed, and written to --out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful import methods
from handful.data.class_folders import ClassFolders, read_class_folders
from handful.evaluation.hamming import score_codes
from handful.evaluation.hashing_data import class_numbers
from handful.evaluation.protocols.hashing import Task, draw_shots
from handful.files import write_json
from handful.find.coding import BUNDLED
from handful.methods.hashing import UGH, HandfulVotes, Hasher, HashLibrary
from handful.methods.hashing.features import features_of
from handful.methods.hashing.hyper_training import gather
from handful.metrics.accuracy import mean_interval
from handful.provenance import describe_device, provenance

SHOTS, BITS, CLASSES, QUERIES = (1, 10), 16, 10, 10
Features = NDArray[np.float64]
Numbers = NDArray[np.int64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--list", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rounded = HashLibrary.load(BUNDLED)
    per_round = json.loads((asked.run / "rounds" / "hyper-training.json").read_text("utf-8"))
    exact = gather(asked.run / "rounds", len(rounded) // per_round["settings"]["n_bits"])
    folder = chosen(read_class_folders(asked.root), asked.list)
    read, kept = features_of(methods.load("handful-base", device="cpu"), folder)
    features, number = kept.astype(np.float64), class_numbers(read.labels, folder.classes)
    flipped = np.bitwise_count(exact.encode(features) ^ rounded.encode(features)).sum()
    answer: dict[str, Any] = {
        "benchmark": "hash_library_rounding",
        "model": BUNDLED,
        "functions": len(rounded),
        "images": len(features),
        "classes": len(folder.classes),
        "flipped": float(flipped / (len(features) * len(rounded))),
        "n": asked.repeats,
        "bits": BITS,
        "map": {
            f"{name}, {shots} shots": compared(name, shots, features, number, exact, rounded, asked)
            for name in ("handful-votes", "ugh-random")
            for shots in SHOTS
        },
    }
    print(json.dumps(answer, indent=2))
    if asked.out is not None:
        origin = provenance([], 0, describe_device("cpu"))
        command = f"python benchmarks/hash_library_rounding.py {asked.run.name} --root"
        command += f" data/{asked.root.name} --list {asked.list and asked.list.name}"
        write_json(asked.out, answer | origin | {"command": command})
    return 0


def chosen(folder: ClassFolders, listed: Path | None) -> ClassFolders:
    """Leave out the classes that a list keeps for tests."""
    if listed is None:
        return folder
    lines = [line.rsplit(maxsplit=1) for line in listed.read_text("utf-8").splitlines()]
    known = {words[0] for words in lines if words[1:] in (["train"], ["validation"])}
    return folder.take([i for i, label in enumerate(folder.labels) if label in known])


def compared(
    name: str,
    shots: int,
    features: Features,
    number: Numbers,
    exact: HashLibrary,
    rounded: HashLibrary,
    asked: argparse.Namespace,
) -> dict[str, Any]:
    """Return the mean mAP of both libraries, and of the paired difference with its interval."""
    found = np.array(
        [
            [
                precision(name, shots, features, number, library, seed)
                for library in (exact, rounded)
            ]
            for seed in range(asked.repeats)
        ]
    )
    less = found[:, 1] - found[:, 0]
    return {
        "exact": float(found[:, 0].mean()),
        "rounded": float(found[:, 1].mean()),
        "rounded_less_exact": float(less.mean()),
        "interval": [*mean_interval(less)],
    }


def draw(features: NDArray[np.floating], number: Numbers, seed: int) -> Task:
    """Draw classes and their queries; what is left of them is the database."""
    rng = np.random.default_rng(seed)
    members = [
        rng.permutation(np.flatnonzero(number == c))
        for c in rng.permutation(int(number.max()) + 1)[:CLASSES]
    ]
    database = np.concatenate([rows[QUERIES:] for rows in members])
    queries = np.concatenate([rows[:QUERIES] for rows in members])
    return Task(
        features[database].astype(np.float64),
        np.repeat(np.arange(CLASSES), [len(rows) - QUERIES for rows in members]),
        features[queries].astype(np.float64),
        np.repeat(np.arange(CLASSES), QUERIES),
    )


def precision(
    name: str, shots: int, features: Features, number: Numbers, library: HashLibrary, seed: int
) -> float:
    """Return the mAP of one draw of classes, queries and examples."""
    task = draw(features, number, seed)
    hasher: Hasher
    if name == "ugh-random":
        hasher = UGH(library, BITS, seed, "random")
    else:
        hasher = HandfulVotes(library, BITS, seed, task.database)
    given = draw_shots(task.database_labels, shots, 0, seed)
    hasher.fit(task.database[given], task.database_labels[given])
    codes = hasher.transform(task.database), hasher.transform(task.queries)
    scores = score_codes(codes[0], task.database_labels, codes[1], task.query_labels, BITS)
    return float(scores[0].mean())


if __name__ == "__main__":
    sys.exit(main())
