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
from pathlib import Path
from typing import Any

from handful.files import sha256, write_json
from handful.provenance import describe_device, provenance

SHORT = {
    "omniglot-small": [
        "loop.steps=40",
        "loop.validate_every=4",
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
    return 0 if answer["equal"] and len(answer["kills"]) == options.kills else 1


def compare(recipe: str, root: Path, folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Train once straight through and once killed and resumed."""
    straight, killed = folder / "straight", folder / "killed"
    begun = start(recipe, root, straight)
    wait_for_curve(begun, straight, None)
    clock = time.perf_counter()
    finish(begun)
    # every kill falls within its share of the time that a whole training takes
    share = (time.perf_counter() - clock) / max(kills, 1)
    moments = random.Random(seed)
    happened = []
    for number in range(kills):
        before = changed(killed)
        process = start(recipe, root, killed, resume=number > 0)
        wait_for_curve(process, killed, before)
        delay = moments.uniform(0, share)
        time.sleep(delay)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        happened.append({"after_seconds": round(delay, 2), "state_at_step": step(killed)})
    finish(start(recipe, root, killed, resume=True))
    digests = [[sha256(run / name) for name in RESULT] for run in (straight, killed)]
    return {
        "recipe": recipe,
        "set": SHORT[recipe],
        "steps": step(straight),
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


def wait_for_curve(process: subprocess.Popen[bytes], run: Path, before: int | None) -> None:
    """Return when the training itself has begun: it then writes its curve anew."""
    while changed(run) == before:
        if process.poll() is not None:
            finish(process)
            raise SystemExit("the training ended before it could be killed")
        time.sleep(0.01)


def changed(run: Path) -> int | None:
    """Return when the curve was last written, None before."""
    curve = run / "metrics.csv"
    return curve.stat().st_mtime_ns if curve.exists() else None


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a training that has to end well."""
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(errors.decode(errors="replace"))


def step(run: Path) -> int:
    """Return the step of a run's saved state, 0 before the first."""
    state = run / "state.json"
    return int(json.loads(state.read_text())["step"]) if state.exists() else 0


def command(options: argparse.Namespace) -> str:
    """Return the line to type, with no path of this machine."""
    words = f"python benchmarks/resume.py --root {options.root.name} --recipe {options.recipe}"
    return f"{words} --kills {options.kills} --seed {options.seed}"


if __name__ == "__main__":
    sys.exit(main())
