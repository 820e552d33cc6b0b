"""Kill a training with -9 at random moments, go on with it, and compare with one never killed.

    python benchmarks/resume.py --root OMNIGLOT [--recipe koch-slides] [--kills 3] [--out FILE.json]

runs `handful train` in processes of its own, shortened by ``--set``, and prints one JSON object.
It fails where the weights or the curve differ in a single byte.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from handful.files import sha256, write_json
from handful.provenance import describe_device, provenance
from handful.training.recipe import read_recipe

SHORT = {
    "omniglot-small": [
        "loop.steps=400",
        "loop.validate_every=10",
        "loop.precision=32-true",
        "options.network={size: 28, widths: [8, 16, 32], depths: [1, 1, 1], views: 2}",
        "options.batch=64",
        "options.validation_trials=400",
    ],
    "koch-slides": [
        "loop.steps=12",
        "loop.validate_every=2",
        "loop.precision=32-true",
        "options.batch=16",
        "options.members=4",
        "options.validation_trials=20",
    ],
}
"""What makes each recipe end in about a minute; nothing of how it trains is left out."""

RESULT = ("weights.safetensors", "metrics.csv")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="the folder of the training data")
    parser.add_argument("--recipe", choices=SHORT, default="omniglot-small")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        answer = compare(options.recipe, options.root, Path(folder), options.kills, options.seed)
    answer |= provenance([], options.seed, describe_device("auto"))
    answer["command"] = command(options)
    if options.out:
        write_json(options.out, answer)
    print(json.dumps(answer, indent=2))
    return 0 if answer["equal"] else 1


def compare(recipe: str, root: Path, folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Train once straight through and once killed and resumed."""
    straight, killed = folder / "straight", folder / "killed"
    finish(start(recipe, root, straight))
    loop = read_recipe(recipe, SHORT[recipe])["loop"]
    states = range(0, loop["steps"], loop["validate_every"])
    between = saved(straight)["seconds"] / len(states)

    # by progress, so that a machine that gets faster does not end before it is killed; the last
    # states are left out for the delay's sake
    chance = random.Random(seed)
    happened = []
    for number, after in enumerate(sorted(chance.sample(states[:-3], kills))):
        reached = partial(came_to, killed, after, changed(killed))
        process = start(recipe, root, killed, resume=number > 0)
        wait(process, reached)
        delay = chance.uniform(0, between)
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            raise SystemExit("the training ended before it could be killed")
        happened.append({"state_at_step": saved(killed)["step"], "seconds_after": round(delay, 3)})
    finish(start(recipe, root, killed, resume=True))
    digests = [[sha256(run / name) for name in RESULT] for run in (straight, killed)]
    return {
        "recipe": recipe,
        "set": SHORT[recipe],
        "steps": saved(straight)["step"],
        "kills": happened,
        "compared": [*RESULT],
        "sha256": digests[0][0],
        "equal": digests[0] == digests[1],
    }


def start(recipe: str, root: Path, out: Path, resume: bool = False) -> subprocess.Popen[bytes]:
    """Begin a training or go on with it."""
    words = [sys.executable, "-m", "handful.cli.main", "train", recipe, "--root", str(root)]
    words += ["--out", str(out), "--set", *SHORT[recipe], *(["--resume"] if resume else [])]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """Return as soon as a training has come that far."""
    while not reached():
        if process.poll() is not None:
            finish(process)
            raise SystemExit("the training ended before it could be killed")
        time.sleep(0.005)


def came_to(run: Path, step: int, before: int | None) -> bool:
    """Say whether a training goes on since `before` and has saved a step from `step` up."""
    return changed(run) != before and saved(run)["step"] >= step


def changed(run: Path) -> int | None:
    """Return when the curve was last written, None before; a training begins by doing so."""
    curve = run / "metrics.csv"
    return curve.stat().st_mtime_ns if curve.exists() else None


def saved(run: Path) -> dict[str, Any]:
    """Return the position of a run's saved state; that of its beginning where it has none."""
    state = run / "state.json"
    found: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {"step": 0}
    return found


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a training that has to end well."""
    _, errors = process.communicate()
    if process.returncode:
        text = errors.decode(errors="replace")
        raise SystemExit(f"a training ended with {process.returncode}:\n{text}")


def command(options: argparse.Namespace) -> str:
    """Return the line to type, with no path of this machine."""
    words = f"python benchmarks/resume.py --root {options.root.name} --recipe {options.recipe}"
    return f"{words} --kills {options.kills} --seed {options.seed}"


if __name__ == "__main__":
    sys.exit(main())
