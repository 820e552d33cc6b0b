"""Search in Hamming space: every store against a plain scan, and the memory that bounds it.

    python benchmarks/hamming_search.py [--codes 10000000] [--queries 50] [--library 4096]
                                        [--images 1000000] [--out FILE.json]

prints one JSON object of medians over queries, each checked against a scan: exact top-10 of codes
of 16 bits by one table, of 32 by two, of 64 and 256 by all codes compared on every core, beside
faiss Flat on one thread in the same run. `bandwidth` is what a store that reads all codes reads a
second, over what this machine reads (the sum of an array far larger than the caches, on every
core). Then the whole way of a new category among --images: from the features of 10 examples, the
functions of a code (a screen of 512 before the SVM) out of a library of --library, their rows
turned into codes, and the ranked answer. It fails where 16 bits take 1 ms or more, where 64 bits
are less than 1.8 times as fast as faiss on one thread, or where the category takes 100 ms or more;
the three bars are for the default sizes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from handful.data.pictures import cores
from handful.files import write_json
from handful.index.binary import Exhaustive
from handful.index.bucket import Bucket
from handful.index.code_store import CodeStore, store_of
from handful.index.codes import gather, hamming
from handful.index.hits import best
from handful.methods.hashing import HashLibrary
from handful.methods.hashing.selection import select
from handful.provenance import describe_device, provenance

K, EXAMPLES, BACKGROUND, SCREEN = 10, 10, 200, 512
LIMIT_16, LIMIT_CATEGORY, TIMES_64 = 1e-3, 0.1, 1.8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codes", type=int, default=10_000_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--library", type=int, default=4096)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    options = parser.parse_args()
    machine = bandwidth()
    stores = {
        str(bits): measure(bits, options.codes, options.queries, machine)
        for bits in (16, 32, 64, 256)
    }
    category = new_category(options.library, options.images)
    passed = {
        "16 bits": stores["16"]["seconds"] < LIMIT_16,
        "64 bits": stores["64"]["times_faiss"] >= TIMES_64,
        "category": category["seconds"] < LIMIT_CATEGORY,
    }
    answer = {
        "codes": options.codes,
        "k": K,
        "queries": options.queries,
        "cores": cores(),
        "machine_gb_per_second": round(machine / 1e9, 1),
        "bits": stores,
        "category": category,
        "passed": passed,
    }
    if options.out:
        write_json(options.out, answer | provenance([], 0, describe_device("cpu")))
    print(json.dumps(answer, indent=2))
    return 0 if all(passed.values()) else 1


def bandwidth(size: int = 1 << 28) -> float:
    """Return the bytes that all cores together read a second."""
    table = np.ones(size // 8, np.uint64)
    parts = np.array_split(table, cores())
    with ThreadPoolExecutor(cores()) as pool:
        seconds = timed(lambda: list(pool.map(np.sum, parts)), 7)
    return size / seconds


def measure(bits: int, count: int, queries: int, machine: float) -> dict[str, Any]:
    """Measure the store of a length of code, and check what it answers."""
    rng = np.random.default_rng(bits)
    # codes around centres: collections are no uniform noise
    centres = rng.integers(0, 256, (1000, bits // 8), dtype=np.uint8)
    codes = centres[rng.integers(0, 1000, count)]
    codes ^= rng.integers(0, 256, codes.shape, dtype=np.uint8) & rng.integers(
        0, 256, codes.shape, dtype=np.uint8
    )
    asked = codes[rng.choice(count, queries)] ^ np.uint8(1)
    start = time.perf_counter()
    store = store_of(codes, bits)
    store.search(asked[:1], K)
    built = time.perf_counter() - start
    seconds = [timed(partial(store.search, q[None], K), 3) for q in asked]
    for query in asked[:3]:
        check(store, codes, query)
    median = statistics.median(seconds)
    found = {
        "store": type(store).__name__,
        "seconds": round(median, 7),
        "built_seconds": round(built, 3),
    }
    if isinstance(store, Bucket):
        return found
    one = faiss.IndexBinaryFlat(bits)
    one.add(codes)
    faiss.omp_set_num_threads(1)
    rival = statistics.median(timed(partial(one.search, q[None], K), 3) for q in asked[:10])
    found |= {
        "faiss_one_thread_seconds": round(rival, 7),
        "times_faiss": round(rival / median, 2),
    }
    if isinstance(store, Exhaustive):  # the others do not read all codes
        found["bandwidth"] = round(codes.nbytes / median / machine, 3)
    return found


def check(store: CodeStore, codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> None:
    """Compare an answer with that of a scan, rows and all."""
    hits = store.search(query[None], K)
    rows, away = best(np.arange(len(codes)), hamming(query, codes), K)
    if hits.rows[0].tolist() != rows.tolist() or hits.distances[0].tolist() != away.tolist():
        raise SystemExit(f"{type(store).__name__} answers otherwise than a scan")


def new_category(functions: int, images: int, dimensions: int = 512) -> dict[str, Any]:
    """Measure the way from a category's examples to the ranked answer, 16 bits."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(functions, dimensions)).astype(np.float32)
    library = HashLibrary(weights, np.zeros(functions, np.float32))
    slices = rng.integers(0, 256, (functions, -(-images // 8)), dtype=np.uint8)
    centre = rng.normal(size=dimensions)
    examples = centre + rng.normal(size=(EXAMPLES, dimensions))
    features = np.concatenate([examples, 1.5 * rng.normal(size=(BACKGROUND, dimensions))])
    number = np.repeat([1, 0], [EXAMPLES, BACKGROUND])
    parts: dict[str, list[float]] = {"select": [], "read": [], "search": []}
    for _ in range(7):
        marks = [time.perf_counter()]
        chosen = select(library.rows(features), number, 16, prefilter=SCREEN, positive=1)
        marks.append(time.perf_counter())
        codes = gather([slices], [images], chosen)
        marks.append(time.perf_counter())
        query = library.take(chosen).encode(examples.mean(0)[None])
        distance = hamming(query[0], codes)
        best(np.arange(images), distance, 20)
        marks.append(time.perf_counter())
        for name, seconds in zip(parts, np.diff(marks).tolist(), strict=True):
            parts[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in parts.items()}
    return {
        "functions": functions,
        "screen": SCREEN,
        "images": images,
        "bits": 16,
        **{f"{name}_seconds": round(value, 4) for name, value in medians.items()},
        "seconds": round(sum(medians.values()), 4),
    }


def timed(work: Callable[[], object], rounds: int) -> float:
    """Return the shortest time of some rounds: the others were disturbed."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    sys.exit(main())
