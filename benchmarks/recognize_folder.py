"""A folder of large photos recognized: how near to what the cores allow, and in how much memory.

    python benchmarks/recognize_folder.py [--photos 200] [--model handful-base] [--photo FILE]

Photos of 4000 x 3000 pixels are made from FILE, or from noise with the spectrum of natural
pictures, a few distinct ones that are copied. Then, in this process and on one thread: the time to
decode one (as the command decodes them), and the time of the network for one. Then the command
``handful recognize`` on one photo, on a quarter of them and on all. What the cores allow is

    cores / (time to decode + time of the network)

photos a second; the ratio to it is told for the whole command, start included, and for the photos
alone (all less one, in the time that they add). ``work`` is the same without the wall clock: the
seconds of one thread that the photos need, over the processor seconds that the command used for
them; on a busy machine it tells what the ratio cannot. One JSON object is printed; it fails where
the ratio of the photos is below .85, or memory grows by more than a tenth from a quarter to all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from handful import methods
from handful.data.samples import omniglot
from handful.images import read
from handful.methods.decoding import enough_side

SIZE = (4000, 3000)
DISTINCT = 5
BAR, GROWTH = 0.85, 1.1


@dataclass(frozen=True)
class Run:
    """What one run of the command took: wall and processor seconds, and peak memory in MB."""

    wall: float
    processor: float
    memory: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--model", default="handful-base")
    parser.add_argument("--photo", type=Path)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        photos = make_photos(root / "query", options.photos, options.photo)
        support = make_support(root / "support", photos)
        decode, network = per_photo(options.model, photos[:DISTINCT])
        counts = (1, max(2, options.photos // 4), options.photos)
        runs = {n: command(options.model, support, photos[:n]) for n in counts}
    one, quarter, everything = (runs[n] for n in counts)
    allowed = cores / (decode[0] + network[0])
    more = options.photos - 1
    ratio = more / (everything.wall - one.wall) / allowed
    growth = everything.memory / quarter.memory
    answer: dict[str, Any] = {
        "model": options.model,
        "cores": cores,
        "photos": options.photos,
        "decode_ms": [round(1000 * value, 1) for value in decode],
        "network_ms": [round(1000 * value, 1) for value in network],
        "allowed_per_second": round(allowed, 2),
        "wall_s": {str(n): round(run.wall, 2) for n, run in runs.items()},
        "processor_s": {str(n): round(run.processor, 2) for n, run in runs.items()},
        "peak_mb": {str(n): round(run.memory) for n, run in runs.items()},
        "ratio_whole_command": round(options.photos / everything.wall / allowed, 3),
        "ratio_photos": round(ratio, 3),
        "work": round(more * (decode[1] + network[1]) / (everything.processor - one.processor), 3),
        "passed": ratio >= BAR and growth <= GROWTH,
    }
    print(json.dumps(answer, indent=2))
    return 0 if answer["passed"] else 1


def make_photos(folder: Path, count: int, source: Path | None) -> list[Path]:
    """Write JPEGs of 12 million pixels; return their paths."""
    folder.mkdir()
    paths = [folder / f"{place:04d}.jpg" for place in range(count)]
    for place, path in enumerate(paths):
        if place >= DISTINCT:
            shutil.copyfile(paths[place % DISTINCT], path)
            continue
        photo = Image.open(source).convert("RGB") if source else noise(place)
        # grain, without which an enlarged photo would be decoded faster than a real one
        grain = np.random.default_rng(place).normal(0, 4, (SIZE[1], SIZE[0], 1))
        large = np.asarray(photo.resize(SIZE, Image.Resampling.BICUBIC), np.float32) + grain
        Image.fromarray(large.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return paths


def noise(seed: int) -> Image.Image:
    """Return noise whose amplitude falls as 1 / f, 1000 x 750."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(750)[:, None], np.fft.rfftfreq(1000)[None]
    fall = 1 / np.maximum(np.hypot(rows, columns), 1e-3)
    planes = [np.fft.irfft2(np.fft.rfft2(rng.normal(size=(750, 1000))) * fall) for _ in range(3)]
    picture = np.stack([128 + 50 * plane / plane.std() for plane in planes], -1)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def make_support(folder: Path, photos: list[Path]) -> Path:
    """Give two classes: one of the photos, made small, and a drawing."""
    for name, path in (("photo", photos[0]), ("drawing", omniglot().queries[0].path)):
        (folder / name).mkdir(parents=True)
        Image.open(path).convert("RGB").resize((320, 240)).save(folder / name / "a.png")
    return folder


def per_photo(model: str, photos: list[Path]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return wall and processor seconds a photo, of decoding and of the network, on one thread."""
    torch.set_num_threads(1)
    matcher = methods.load(model, device="cpu")
    side = enough_side(matcher)
    images = [read(path, at_least=side) for path in photos]
    batch = (images * 64)[:64]
    matcher.encode(batch)
    decode = timed(lambda: [read(path, at_least=side) for path in photos], len(photos))
    return decode, timed(lambda: matcher.encode(batch), len(batch))


def timed(work: Callable[[], object], count: int, rounds: int = 5) -> tuple[float, float]:
    """Return the median wall and processor seconds of one of `count` pieces of work."""
    wall, processor = [], []
    for _ in range(rounds):
        start, busy = time.perf_counter(), time.thread_time()
        work()
        wall.append((time.perf_counter() - start) / count)
        processor.append((time.thread_time() - busy) / count)
    return statistics.median(wall), statistics.median(processor)


def command(model: str, support: Path, photos: list[Path]) -> Run:
    """Run ``handful recognize`` in a process of its own."""
    arguments = ["recognize", "--support", str(support), "--model", model, "--json", "--query"]
    arguments += map(str, photos)
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "handful.cli.main", *arguments], stdout=output
        )
        peak = 0.0
        while (found := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            peak = max(peak, resident(process.pid))
            time.sleep(0.02)
        wall, used = time.perf_counter() - start, found[2]
        output.seek(0)
        if found[1] or len(json.load(output)["results"]) != len(photos):
            raise SystemExit("handful recognize failed")
    return Run(wall, used.ru_utime + used.ru_stime, peak)


def resident(pid: int) -> float:
    """Return the peak memory of a process in MB; what it forked from does not count."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    peak = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peak[0]) / 1024 if peak else 0.0


if __name__ == "__main__":
    sys.exit(main())
