"""Seconds to encode 1,000 characters, decoded pages in memory, in one process.

    python benchmarks/encode.py [--model omniglot-small] [--images 1000] [--threads 2]

prints one JSON object; the time is the median of the repeats. The pages are those of the bundled
sample, again and again. It fails at three seconds for a thousand.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from itertools import cycle, islice

import torch

from handful import methods
from handful.data.samples import omniglot
from handful.images import read
from handful.methods import Image


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="omniglot-small", help="a name or a directory")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    matcher = methods.load(options.model, device="cpu")
    pages = characters(options.images)
    matcher.encode(pages[:100])  # caches and thread pools are warm in the measured repeats
    seconds = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        features = matcher.encode(pages)
        seconds.append(time.perf_counter() - start)
    answer = {
        "images": len(features),
        "seconds": round(statistics.median(seconds), 3),
        "model": matcher.name,
        "dimensions": features[0].numel(),
        "threads": options.threads,
        "repeats": options.repeats,
    }
    print(json.dumps(answer, indent=2))
    return 0 if answer["seconds"] < 3 * options.images / 1000 else 1


def characters(count: int) -> list[Image]:
    """Return pages of the bundled sample, each an array of its own."""
    sample = omniglot()
    pages = [read(query.path) for query in sample.queries]
    return [page.copy() for page in islice(cycle(pages), count)]


if __name__ == "__main__":
    sys.exit(main())
