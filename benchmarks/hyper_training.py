"""Core-seconds of a round of UGH's hyper-training, and how near to linear it is in workers.

    python benchmarks/hyper_training.py [--rounds 8] [--dimensions 512] [--workers 1 2]
                                        [--features FILE.npy]

prints one JSON object. Without --features the corpus is drawn: 30,000 unit vectors around 300
directions. It fails where 2,000 rounds, which are 20,000 functions, would take more than 2.5
core-hours, or where the functions depend on the number of workers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.methods.hashing import Settings, hyper_train
from handful.methods.hashing.hyper_round import run_round

LIMIT_HOURS, ROUNDS = 2.5, 2000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--features", type=Path)
    options = parser.parse_args()
    features = np.load(options.features) if options.features else corpus(options.dimensions)
    run_round(features, 1, 0)  # imports and caches are warm in the measured rounds
    cores = [core_seconds(features, number) for number in range(options.rounds)]
    walls, digests = {}, set()
    for workers in dict.fromkeys(options.workers):
        walls[workers], functions = wall_seconds(features, options.rounds, workers)
        digests.add(functions)
    hours = float(np.median(cores)) * ROUNDS / 3600
    first = min(walls)
    answer = {
        "images": len(features),
        "dimensions": features.shape[1],
        "rounds": options.rounds,
        "core_seconds_per_round": round(float(np.median(cores)), 3),
        "core_hours_of_20000_functions": round(hours, 3),
        "wall_seconds": {str(workers): round(wall, 2) for workers, wall in walls.items()},
        "speedup": {str(workers): round(walls[first] / wall, 2) for workers, wall in walls.items()},
        "same_functions": len(digests) == 1,
    }
    print(json.dumps(answer, indent=2))
    return 0 if hours <= LIMIT_HOURS and len(digests) == 1 else 1


def corpus(dimensions: int) -> NDArray[np.float16]:
    """Return clusters of unit vectors, (30000, dimensions)."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, dimensions))[np.arange(30_000) % 300]
    rows = rows + 1.5 * rng.normal(size=rows.shape)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float16)


def core_seconds(features: NDArray[np.floating], number: int) -> float:
    start = time.process_time()
    run_round(features, 0, number)
    return time.process_time() - start


def wall_seconds(features: NDArray[np.floating], rounds: int, workers: int) -> tuple[float, bytes]:
    """Return the time of some rounds, workers already started, and the functions as bytes."""
    with tempfile.TemporaryDirectory() as folder:
        hyper_train(features, Path(folder) / "warm", workers, 1, Settings(), workers)
        start = time.perf_counter()
        library = hyper_train(features, Path(folder) / "run", rounds, 0, Settings(), workers)
        return time.perf_counter() - start, library.weights.tobytes() + library.bias.tobytes()


if __name__ == "__main__":
    sys.exit(main())
