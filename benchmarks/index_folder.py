"""A folder indexed: how near to what the cores allow.

    python benchmarks/index_folder.py [--photos 1000] [--side 500] [--model handful-base]
                                      [--photo FILE] [--out FILE.json]

Photos of --side pixels are made from FILE, or from noise with the spectrum of natural pictures,
a few distinct ones that are written again under other names. On one thread, in this process: the
time to decode one (as the command decodes them), and that of the network for one. Then the command
``handful index`` on one photo and on all. What the cores allow is

    cores / (time to decode + time of the network)

photos a second; `ratio` is what the photos reached of it (all less one, in the time that they add).
`work` is the same without the wall clock: the seconds of one thread that the photos need, over the
processor seconds that the command used for them; on a busy machine it tells what the ratio cannot.
Then the time to notice that nothing has changed. One JSON object is printed; it fails where the
ratio is below .85.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from handful import methods
from handful.allocator import keep_freed_memory
from handful.data.pictures import cores
from handful.files import write_json
from handful.images import read
from handful.methods.decoding import enough_side
from handful.provenance import describe_device, provenance

DISTINCT = 20
BAR = 0.85


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--side", type=int, default=500, help="the long side, in pixels")
    parser.add_argument("--model", default="handful-base")
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    options = parser.parse_args()
    keep_freed_memory()  # as the command does
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        photos = make_photos(root / "all", options.photos, options.side, options.photo)
        (root / "one").mkdir()
        (root / "one" / "0.jpg").write_bytes(photos[0].read_bytes())
        decode, network = per_photo(options.model, photos[:DISTINCT])
        one = command(options.model, root / "one", root / "index-one")
        everything = command(options.model, root / "all", root / "index")
        again = command(options.model, root / "all", root / "index", added=0)
    allowed, more = cores() / (decode + network), options.photos - 1
    ratio = more / (everything[0] - one[0]) / allowed
    answer: dict[str, Any] = {
        "model": options.model,
        "cores": cores(),
        "photos": options.photos,
        "side": options.side,
        "decode_ms": round(1000 * decode, 2),
        "network_ms": round(1000 * network, 2),
        "allowed_per_second": round(allowed, 1),
        "per_second": round(more / (everything[0] - one[0]), 1),
        "wall_s": {"one": round(one[0], 2), "all": round(everything[0], 2)},
        "unchanged_s": round(again[0] - one[0], 2),
        "ratio": round(ratio, 3),
        "work": round(more * (decode + network) / (everything[1] - one[1]), 3),
        "passed": ratio >= BAR,
    }
    print(json.dumps(answer, indent=2))
    if options.out:
        write_json(options.out, answer | provenance([], 0, describe_device("cpu")))
    return 0 if answer["passed"] else 1


def make_photos(folder: Path, count: int, side: int, source: Path | None) -> list[Path]:
    """Write JPEGs; return their paths."""
    folder.mkdir()
    written = []
    for place in range(min(count, DISTINCT)):
        photo = Image.open(source).convert("RGB") if source else noise(place)
        photo = photo.resize((side, round(0.75 * side)), Image.Resampling.BICUBIC)
        # grain, without which an enlarged photo would be decoded faster than a real one
        grain = np.random.default_rng(place).normal(0, 4, (*photo.size[::-1], 1))
        pixels = (np.asarray(photo, np.float32) + grain).clip(0, 255).astype(np.uint8)
        written.append(folder / f"{place}.jpg")
        Image.fromarray(pixels).save(written[-1], quality=90)
    for place in range(DISTINCT, count):
        path = folder / f"{place}.jpg"
        path.write_bytes(written[place % DISTINCT].read_bytes())
        written.append(path)
    return written


def noise(seed: int) -> Image.Image:
    """Return noise whose amplitude falls as 1 / f, 1000 x 750."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(750)[:, None], np.fft.rfftfreq(1000)[None]
    fall = 1 / np.maximum(np.hypot(rows, columns), 1e-3)
    planes = [np.fft.irfft2(np.fft.rfft2(rng.normal(size=(750, 1000))) * fall) for _ in range(3)]
    picture = np.stack([128 + 50 * plane / plane.std() for plane in planes], -1)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def per_photo(model: str, photos: list[Path]) -> tuple[float, float]:
    """Return the seconds of one thread to decode a photo, and of the network for one."""
    torch.set_num_threads(1)
    matcher = methods.load(model, device="cpu")
    side = enough_side(matcher)
    images = [read(path, at_least=side) for path in photos]
    batch = (images * 64)[:64]
    matcher.encode(batch)
    decode = timed(lambda: [read(path, at_least=side) for path in photos], len(photos))
    return decode, timed(lambda: matcher.encode(batch), len(batch))


def timed(work: Callable[[], object], count: int, rounds: int = 5) -> float:
    """Return the median seconds of this thread for one of `count` pieces of work."""
    seconds = []
    for _ in range(rounds):
        busy = time.thread_time()
        work()
        seconds.append((time.thread_time() - busy) / count)
    return statistics.median(seconds)


def command(model: str, folder: Path, out: Path, added: int | None = None) -> tuple[float, float]:
    """Run ``handful index``; return its wall and processor seconds."""
    arguments = ["index", str(folder), "--out", str(out), "--model", model, "--json"]
    arguments = [sys.executable, "-m", "handful.cli.main", *arguments]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(arguments, stdout=output)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        output.seek(0)
        wanted = len(list(folder.iterdir())) if added is None else added
        if status or json.load(output)["added"] != wanted:
            raise SystemExit("handful index failed")
    return wall, used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
