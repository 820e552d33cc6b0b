r"""Retrieval and re-identification metrics: seconds and peak memory, against the usual ways.

- ``retrieval``: recall at 1, 2, 4, 8 and mAP at R of unit vectors that all query all others,
  against pytorch-metric-learning's `AccuracyCalculator` (precision at 1 and mAP at R).
- ``reid``: CMC and mAP of a table of scores of the size of Market-1501, with cameras, junk and
  distractors, against a loop that sorts the gallery of one query at a time.

    python benchmarks/retrieval_metrics.py [--images 60000] [--queries 3368] [--gallery 15913] \
        [--out FILE.json]

prints one JSON object. Every timed part runs in a process of its own, so that its peak memory is
its own; the embeddings count. It fails where retrieval takes 1.5 GB or is slower than the
calculator, or where re-identification is not five times as fast as the loop, or off by 1e-8.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

KS = (1, 2, 4, 8)
RANKS = (1, 5, 10)
Scores = NDArray[np.float32]
Numbers = NDArray[np.int64]
Found = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--queries", type=int, default=3_368)
    parser.add_argument("--gallery", type=int, default=15_913)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    # read by the libraries when the processes below import them
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    size = options.images, options.dimensions
    ours, theirs = alone(retrieval, *size), alone(calculator, *size)
    table = options.queries, options.gallery
    found, looped = alone(reid, *table), alone(loop, *table)
    far = max(abs(found["metrics"][key] - looped["metrics"][key]) for key in looped["metrics"])
    apart = max(abs(ours["metrics"][key] - theirs["metrics"][key]) for key in theirs["metrics"])
    answer: Found = {
        "protocol": "retrieval-metrics",
        "model": "retrieve, reidentify",
        "n": options.images,
        "metrics": {
            "retrieval_ratio": round(theirs["seconds"] / ours["seconds"], 2),
            "retrieval_peak_gb": ours["peak_gb"],
            "reid_ratio": round(looped["seconds"] / found["seconds"], 2),
            "reid_difference": far,
        },
        "retrieval": {
            "images": options.images,
            "dimensions": options.dimensions,
            "handful": ours,
            "pytorch-metric-learning": theirs,
            "difference": apart,
        },
        "reid": {
            "queries": options.queries,
            "gallery": options.gallery,
            "handful": found,
            "loop": looped,
        },
    }
    print(json.dumps(answer, indent=2))
    if options.out is not None:
        # only here, lest a library start its threads before
        from handful.files import write_json
        from handful.provenance import provenance

        command = f"python benchmarks/retrieval_metrics.py --threads {options.threads}"
        origin = provenance([], 0, f"cpu, threads: {options.threads}")
        write_json(options.out, answer | origin | {"command": command})
    ratios = answer["metrics"]["retrieval_ratio"], answer["metrics"]["reid_ratio"]
    fast = ratios[0] > 1 and ratios[1] >= 5
    return 0 if fast and ours["peak_gb"] < 1.5 and far <= 1e-8 else 1


def alone(work: Callable[[int, int], Found], *size: int) -> Found:
    """Do the work in a fresh process, and return what it found."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, size)


def timed(work: Callable[[], dict[str, float]]) -> Found:
    start = time.perf_counter()
    metrics = work()
    seconds = time.perf_counter() - start
    return {
        "seconds": round(seconds, 3),
        "peak_gb": round(peak() / 1e9, 3),
        "metrics": metrics,
    }


def peak() -> int:
    """Return the most memory this process ever had, in bytes."""
    status = Path("/proc/self/status")  # a fresh process inherits the peak that getrusage tells
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def embeddings(images: int, dimensions: int) -> tuple[Scores, Numbers]:
    """Draw unit vectors of about six images a class, as Stanford Online Products has."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, images // 6, images)
    centre = rng.standard_normal((images // 6, dimensions), np.float32)
    vectors = centre[labels]
    vectors += 2.5 * rng.standard_normal((images, dimensions), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, labels


def retrieval(images: int, dimensions: int) -> Found:
    from handful.metrics.retrieval import inner_products, retrieve

    vectors, labels = embeddings(images, dimensions)
    retrieve(inner_products(vectors[:2000]), labels[:2000], KS)  # thread pools are warm

    def work() -> dict[str, float]:
        found = retrieve(inner_products(vectors), labels, KS)
        recall = {f"recall@{k}": found.recall_at(k) for k in KS}
        return recall | {"map@r": found.map_at_r}

    return timed(work)


def calculator(images: int, dimensions: int) -> Found:
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    vectors, labels = embeddings(images, dimensions)
    include = ("precision_at_1", "mean_average_precision_at_r")
    measure = AccuracyCalculator(include, k="max_bin_count", device=torch.device("cpu"))
    measure.get_accuracy(vectors[:2000], labels[:2000])

    def work() -> dict[str, float]:
        found = measure.get_accuracy(vectors, labels)
        first, average = (float(found[name]) for name in include)
        return {"recall@1": first, "map@r": average}

    return timed(work)


def market(queries: int, gallery: int) -> tuple[Scores, dict[str, Numbers]]:
    """Draw scores, identities and cameras: 750 identities, 6 cameras, distractors 0, junk -1."""
    rng = np.random.default_rng(0)
    people = {
        "query_identity": rng.integers(1, 751, queries),
        "gallery_identity": rng.integers(1, 751, gallery),
        "query_camera": rng.integers(0, 6, queries),
        "gallery_camera": rng.integers(0, 6, gallery),
    }
    kind = rng.random(gallery)
    people["gallery_identity"][kind < 0.15] = 0
    people["gallery_identity"][kind > 0.95] = -1
    scores = rng.standard_normal((queries, gallery), np.float32)
    scores += 2 * (people["query_identity"][:, None] == people["gallery_identity"])
    return scores, people


def reid(queries: int, gallery: int) -> Found:
    from handful.metrics.reid import reidentify

    scores, people = market(queries, gallery)
    reidentify(scores[:9], people["query_identity"][:9], people["gallery_identity"])

    def work() -> dict[str, float]:
        found = reidentify(scores, **people, ks=RANKS)
        return {f"cmc@{k}": found.cmc_at(k) for k in RANKS} | {"map": found.map}

    return timed(work)


def loop(queries: int, gallery: int) -> Found:
    scores, people = market(queries, gallery)
    who, camera = people["gallery_identity"], people["gallery_camera"]

    def work() -> dict[str, float]:
        ranks, precisions = [], []
        for row, identity, seen_by in zip(
            scores, people["query_identity"], people["query_camera"], strict=True
        ):
            order = np.argsort(-row)
            right = who[order] == identity
            kept = ~(right & (camera[order] == seen_by)) & (who[order] != -1)
            place = np.flatnonzero(right[kept])
            if place.size:
                ranks.append([place[0] < k for k in RANKS])
                precisions.append(float(np.mean(np.arange(1, len(place) + 1) / (place + 1))))
        shares = np.mean(ranks, 0).tolist()
        named = {f"cmc@{k}": share for k, share in zip(RANKS, shares, strict=True)}
        return named | {"map": float(np.mean(precisions))}

    return timed(work)


if __name__ == "__main__":
    sys.exit(main())
