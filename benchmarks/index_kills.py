"""Kill an index with -9 at random moments, and look at what it holds.

    python benchmarks/index_kills.py [--kills 50] [--photos 300] [--seed 0] [--out FILE.json]

A child indexes a folder with a fast made-up model and commits after every batch; it is killed
somewhere between its start and its end. Then the folder changes (pictures are added, rewritten,
moved and deleted), and the next child goes on. After every kill the index is opened: every file
that a commit had ended for must be there, with the features of its content, and no file that no
commit had begun with. Last, one run to the end must leave just what the folder holds. One JSON
object is printed; it fails at the first index that is otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from handful.files import write_json
from handful.find import Index, collection
from handful.index import store as store_module
from handful.index.changes import content_digest
from handful.index.manifest import Manifest, Stamp
from handful.index.store import Store
from handful.methods import encoding
from handful.methods.prototypes import Prototypes
from handful.provenance import describe_device, provenance


class Corner:
    """An embedder whose features are the pixels of a corner."""

    name = "corner"

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Return the corners (N, 12)."""
        return torch.stack([torch.from_numpy(corner(image)) for image in images])


def corner(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return image[:2, :2].reshape(-1).astype(np.float32) - 127.25


class Logged(Store):
    """A store that tells a file what it begins to add, and what it has added."""

    log = -1

    def append(self, files: Sequence[tuple[Stamp, bytes]], features: ArrayLike) -> None:
        """Add files, with a line before and one after."""
        names = " ".join(stamp.path for stamp, _ in files)
        os.write(self.log, f"begin {names}\n".encode())
        super().append(files, features)
        os.write(self.log, f"done {names}\n".encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    options = parser.parse_args()
    # many small commits and merges: as many moments to be killed at
    collection.COMMIT_ROWS, store_module.FULL = 1, 64
    vars(encoding)["BATCH"] = 4
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        answer = try_all(Path(folder), options.kills, options.photos, options.seed)
    if options.out:
        write_json(options.out, answer | provenance([], options.seed, describe_device("cpu")))
    print(json.dumps(answer))
    return 0 if answer["passed"] else 1


def try_all(root: Path, kills: int, photos: int, seed: int) -> dict[str, object]:
    """Kill until it has happened `kills` times; return what happened."""
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    folder, where, log = root / "photos", root / "index", root / "log"
    folder.mkdir()
    known: dict[bytes, NDArray[np.float32]] = {}
    for number in range(photos):
        draw(folder / f"{number}.png", rng, known)
    # what is imported on first use is there before the children begin
    Index.build(folder, root / "warm", Prototypes(Corner(), "corner"))
    start = time.monotonic()
    if os.waitpid(run(folder, root / "whole", log), 0)[1]:
        raise SystemExit("indexing failed")
    whole = time.monotonic() - start

    killed = ended = midway = new = 0
    before: set[str] = set()
    moved: set[str] = set()
    held: list[int] = []
    while killed < kills:
        log.unlink(missing_ok=True)
        child = run(folder, where, log)
        # a run that goes on has less to do than the first
        time.sleep(whole * chance.uniform(0, 0.6))
        os.kill(child, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL:
            killed += 1
            midway += log.exists() and "done" in log.read_text()
        else:
            ended += 1
        before = check(where, known, log, before | moved)
        held.append(len(before))
        names = sorted(path.name for path in folder.iterdir())
        chance.shuffle(names)
        for name in names[:20]:
            draw(folder / name, rng, known)
        for name in names[20:24]:
            (folder / name).rename(folder / f"m{new}.png")
            # a killed run may leave it to a later one to notice
            moved.add(f"m{new}.png")
            new += 1
        for name in names[24:28]:
            (folder / name).unlink()
        for _ in range(4):
            draw(folder / f"n{new}.png", rng, known)
            new += 1
    index = Index.build(folder, where, Prototypes(Corner(), "corner"))
    check(where, known, log, set(index.store.entries()))
    found = {path: entry.digest for path, entry in index.store.entries().items()}
    if found != {path.name: content_digest(path) for path in folder.iterdir()}:
        raise SystemExit("the index does not hold what the folder holds")
    return {
        "kills": killed,
        "ended_before": ended,
        "photos": photos,
        "kills_after_a_commit": midway,
        "seconds_of_a_whole_run": round(whole, 2),
        "files_held_after_each": held,
        # kills before the first commit alone would have tried nothing
        "passed": midway >= kills // 4,
    }


def draw(path: Path, rng: np.random.Generator, known: dict[bytes, NDArray[np.float32]]) -> None:
    """Write a picture and remember its features."""
    pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    digest, vector = content_digest(path), corner(pixels)
    assert digest is not None
    known[digest] = vector / np.linalg.norm(vector)


def run(folder: Path, where: Path, log: Path) -> int:
    """Index in a child, or go on with it; return its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        Logged.log = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        vars(collection)["Store"] = Logged
        Index.build(folder, where, Prototypes(Corner(), "corner"))
        status = 0
    finally:
        os._exit(status)


def check(
    where: Path, known: dict[bytes, NDArray[np.float32]], log: Path, before: set[str]
) -> set[str]:
    """Open the index and compare it with what was told; return the files that it holds."""
    if not Manifest.exists(where):
        return set()
    store = Store(where)
    snapshot, entries = store.snapshot(), store.entries()
    if not len(store) == int(snapshot.alive.sum()) == len(entries):
        raise SystemExit("rows and files do not agree")
    for path, entry in entries.items():
        found = store.find(snapshot, path)
        place, row = snapshot.locate(found[1] if found else -1)
        if not np.allclose(snapshot.parts[place][row], known[entry.digest], atol=1e-3):
            raise SystemExit(f"{path} has the features of something else")
    lines = log.read_text().splitlines() if log.exists() else []
    done = {name for line in lines if line.startswith("done") for name in line.split()[1:]}
    begun = {name for line in lines for name in line.split()[1:]}
    if not done <= entries.keys() or not entries.keys() <= done | begun | before:
        raise SystemExit("the files are not those that were completed")
    store.close()
    return set(entries)


if __name__ == "__main__":
    sys.exit(main())
