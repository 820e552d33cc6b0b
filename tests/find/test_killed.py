"""Killed at a random moment, an index opens and holds exactly the files that were completed."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from PIL import Image

from handful.find import Index
from handful.find import collection as collection_module
from handful.index import store as store_module
from handful.index.changes import content_digest
from handful.index.manifest import Manifest, Stamp
from handful.index.store import Store
from handful.methods.prototypes import Prototypes

from .conftest import Draw, Means

KILLS, PICTURES = 10, 60


class Logged(Store):
    """A store that tells a file what it begins to add, and what it has added."""

    log: int

    def append(self, files: Sequence[tuple[Stamp, bytes]], features: ArrayLike) -> None:
        names = " ".join(stamp.path for stamp, _ in files)
        os.write(self.log, f"begin {names}\n".encode())
        super().append(files, features)
        os.write(self.log, f"done {names}\n".encode())


def run(folder: Path, where: Path, log: Path, model: Prototypes) -> int:
    """Begin an index, or go on with it, in a child; return its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        torch.set_num_threads(1)
        Logged.log = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        vars(collection_module)["Store"] = Logged
        Index.build(folder, where, model)
        status = 0
    finally:
        os._exit(status)


def kill_after(child: int, log: Path, lines: int, seconds: float) -> bool:
    """Kill a child some time after it has told so much; say whether it was still at work."""
    while not log.exists() or log.read_text().count("\n") < lines:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def vectors(folder: Path) -> dict[bytes, np.ndarray]:
    """Return the features that belong to the contents of files, by digest."""
    found = {}
    for path in folder.rglob("*.png"):
        digest = content_digest(path)
        assert digest is not None
        vector = Means.one(np.asarray(Image.open(path)))
        found[digest] = vector / np.linalg.norm(vector)
    return found


def check(where: Path, known: dict[bytes, np.ndarray], log: Path, before: set[str]) -> set[str]:
    """Open what is there and compare it with what was told to be complete."""
    if not Manifest.exists(where):
        return set()
    store = Store(where)
    snapshot, entries = store.snapshot(), store.entries()
    assert len(store) == int(snapshot.alive.sum()) == len(entries)
    for path, entry in entries.items():
        found = store.find(snapshot, path)
        assert found is not None
        place, row = snapshot.locate(found[1])
        np.testing.assert_allclose(snapshot.parts[place][row], known[entry.digest], atol=1e-3)
    lines = log.read_text().splitlines() if log.exists() else []
    done = {name for line in lines if line.startswith("done") for name in line.split()[1:]}
    begun = {name for line in lines for name in line.split()[1:]}
    assert done <= entries.keys()
    assert entries.keys() <= done | begun | before
    store.close()
    return set(entries)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_killed_while_indexing_and_synchronising(
    tmp_path: Path, draw: Draw, means: Prototypes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection_module, "COMMIT_ROWS", 1)
    monkeypatch.setattr(store_module, "FULL", 8)
    monkeypatch.setattr("handful.methods.encoding.BATCH", 2)
    folder, where, log = tmp_path / "photos", tmp_path / "index", tmp_path / "log"
    for number in range(PICTURES):
        draw(folder / f"{number}.png", number)
    known = vectors(folder)
    # what is imported on first use is there before the children begin
    Index.build(folder, tmp_path / "warm", means)
    chance = random.Random(0)
    held: set[str] = set()
    moved: set[str] = set()
    killed = midway = 0
    for turn in range(KILLS):
        child = run(folder, where, log, means)
        if kill_after(child, log, chance.randint(0, 9), chance.uniform(0, 0.02)):
            killed += 1
            midway += log.exists() and "done" in log.read_text()
        held = check(where, known, log, held | moved)
        log.unlink(missing_ok=True)
        # the folder changes between two runs
        draw(folder / f"new{turn}.png", 100 + turn)
        for number in range(PICTURES - 10, PICTURES):
            draw(folder / f"{number}.png", 200 + PICTURES * turn + number)
        (folder / f"{20 + turn}.png").rename(folder / f"moved{turn}.png")
        (folder / f"{turn}.png").unlink()
        # a killed run may leave it to a later one to notice
        moved.add(f"moved{turn}.png")
        known |= vectors(folder)
    assert killed >= KILLS // 2  # otherwise nothing was tried
    assert midway >= 2
    index = Index.build(folder, where, means)
    check(where, known, log, set(index.store.entries()))
    assert index.store.entries().keys() == {path.name for path in folder.iterdir()}
    assert {entry.digest for entry in index.store.entries().values()} == vectors(folder).keys()
    left = {path.name for path in where.iterdir()}
    named = {f"features-{s.number:06d}.npy" for s in index.store.manifest.segments()}
    assert {name for name in left if name.endswith(".npy")} == named
