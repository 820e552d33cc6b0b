"""The nearest support pixel of every query pixel under a learned L1 similarity.

    python benchmarks/dense_matching.py [--side 60] [--channels 512] [--threads 1] [--rounds 3]
                                        [--out FILE.json]

prints one JSON object. `ours` is `handful.similarity.nearest_l1`; `broadcast` is the plain way,
all channels of some rows of query pixels against all support pixels at once, at each of --rows
rows. The ways take turns, so that whatever else the machine does meets them alike; times are the
shortest of the rounds. Memory is the peak of what a fresh process holds above features and
libraries. Labels are compared with those of the plain way in double precision. It fails where a
label differs, where memory reaches 200 MB, or where the best broadcast takes less than 3 times as
long; the bars are for the default sizes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from handful.files import write_json
from handful.provenance import describe_device, provenance
from handful.similarity import nearest_l1

MEMORY, TIMES = 200.0, 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=60)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 16, 64, 128])
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    query, support, weight = drawn(options.side, options.channels)
    labels = torch.rand(len(support)) < 0.3
    truth = labels[in_double(query, support, weight)]
    wrong = int((labels[nearest_l1(query, support, weight).place] != truth).sum())
    ways: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: nearest_l1(query, support, weight).place,
        **{
            f"broadcast {rows}": lambda rows=rows: broadcast(query, support, weight, rows)  # type: ignore[misc]
            for rows in options.rows
        },
    }
    seconds = in_turns(ways, options.rounds)
    best = min((way for way in ways if way != "ours"), key=lambda way: seconds[way])
    megabytes = peak_in_fresh_process(options.side, options.channels, options.threads)
    passed = {
        "labels": wrong == 0,
        "memory": megabytes < MEMORY,
        "times": seconds[best] >= TIMES * seconds["ours"],
    }
    answer = {
        "pixels": [len(query), len(support)],
        "channels": options.channels,
        "threads": options.threads,
        "seconds": {way: round(value, 3) for way, value in seconds.items()},
        "best_broadcast": best,
        "times": round(seconds[best] / seconds["ours"], 2),
        "peak_megabytes": round(megabytes, 1),
        "labels_that_differ": wrong,
        "passed": passed,
    }
    if options.out:
        write_json(options.out, answer | provenance([], 0, describe_device("cpu")))
    print(json.dumps(answer, indent=2))
    return 0 if all(passed.values()) else 1


def drawn(side: int, channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return query and support (side^2, channels), and weights of both signs, mostly negative."""
    torch.manual_seed(0)
    query, support = torch.randn(2, side * side, channels).relu_().unbind()
    return query, support, torch.randn(channels) - 1


def in_double(query: Tensor, support: Tensor, weight: Tensor) -> Tensor:
    """Return the nearest by the sum itself, pixel after pixel in double precision."""
    support, weight = support.double(), weight.double()
    return torch.stack([((row - support).abs() * weight).sum(1).argmax() for row in query.double()])


def broadcast(query: Tensor, support: Tensor, weight: Tensor, rows: int) -> Tensor:
    """Return the nearest by rows x S x D differences at a time."""
    held = torch.empty(rows, *support.shape)
    found = []
    for part in query.split(rows):
        gaps = torch.sub(part[:, None], support, out=held[: len(part)]).abs_()
        found.append((gaps @ weight).argmax(1))
    return torch.cat(found)


def in_turns(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the shortest time of each way."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, work in ways.items():
            start = time.perf_counter()
            work()
            seconds[way].append(time.perf_counter() - start)
    return {way: min(values) for way, values in seconds.items()}


def peak_in_fresh_process(side: int, channels: int, threads: int) -> float:
    """Return by how many megabytes the peak of a process grows in its first call."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (side, channels, threads))


def _grown(side: int, channels: int, threads: int) -> float:
    torch.set_num_threads(threads)
    query, support, weight = drawn(side, channels)
    nearest_l1(query[:1], support[:1], weight)  # what the libraries themselves hold
    before = _status("VmRSS")
    nearest_l1(query, support, weight)
    return _status("VmHWM") - before


def _status(field: str) -> float:
    """Return what Linux says of this process, in MB; `ru_maxrss` would be the parent's too."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field))


if __name__ == "__main__":
    sys.exit(main())
