"""UGH's hyper-training: many independent rounds, on all cores, written as they finish.

Y.-X. Wang, L. Gui, M. Hebert, "Few-shot hash learning for image retrieval", ICCV workshops 2017,
section 3.1; a round is `hyper_round.run_round`.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.progress import track
from handful.errors import InputError
from handful.files import replacing, write_json
from handful.methods.hashing.hyper_round import Settings, run_round
from handful.methods.hashing.library import HashLibrary

ABOUT = "hyper-training.json"


def hyper_train(
    features: NDArray[np.floating],
    out: str | os.PathLike[str],
    rounds: int = 2000,
    seed: int = 0,
    settings: Settings | None = None,
    workers: int = -1,
) -> HashLibrary:
    """Learn a library of hash functions from unlabelled features.

    Parameters
    ----------
    features : ndarray
        The corpus (N, D); a memory map stays on disk.
    out : path-like
        The folder of the rounds. What is there already is not done again, so a run that was
        killed goes on, and comes to the same functions.
    rounds : int
        D of the paper; each gives ``settings.n_bits`` functions.
    seed : int
        Rounds are seeded one by one from this and their number, so that neither their order nor
        the number of workers matters.
    settings : Settings, optional
        Of a round.
    workers : int
        Rounds at once; -1: one for each core.

    Returns
    -------
    HashLibrary
        (rounds * n_bits) functions, in the order of the rounds.

    Raises
    ------
    InputError
        Too small a corpus, or a folder that holds rounds of another corpus, seed or settings.
    """
    from joblib import Parallel, delayed

    settings, folder = settings or Settings(), Path(out)
    settings.check(len(features))
    _claim(folder, features, seed, settings)
    missing = [number for number in range(rounds) if not _path(folder, number).is_file()]
    work = (delayed(_round_to_file)(features, folder, seed, n, settings) for n in missing)
    pool = Parallel(n_jobs=workers, return_as="generator_unordered", max_nbytes="1M")
    for _ in track(pool(work), "hyper-training", len(missing)):
        pass
    return gather(folder, rounds)


def gather(folder: Path, rounds: int) -> HashLibrary:
    """Stack the rounds of a folder.

    Raises
    ------
    InputError
        A round is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    parts = []
    for number in range(rounds):
        path = _path(folder, number)
        try:
            parts.append(load_file(path))
        except (OSError, SafetensorError):
            raise InputError(f"{path}: missing or damaged; remove it and resume") from None
    stacked = {name: np.concatenate([part[name] for part in parts]) for name in ("weights", "bias")}
    return HashLibrary(**stacked)


def _round_to_file(
    features: NDArray[np.floating], folder: Path, seed: int, number: int, settings: Settings
) -> int:
    from safetensors.numpy import save_file

    weights, bias = run_round(features, seed, number, settings)
    with replacing(_path(folder, number)) as part:
        save_file({"weights": np.ascontiguousarray(weights), "bias": bias}, part)
    return number


def _claim(folder: Path, features: NDArray[np.floating], seed: int, settings: Settings) -> None:
    """Write what the rounds of a folder stand on, or refuse one that stands on something else."""
    about: dict[str, Any] = {
        "seed": seed,
        "settings": asdict(settings),
        "images": len(features),
        "dimensions": features.shape[1],
        "features": _digest(features),
    }
    path = folder / ABOUT
    if not path.exists():
        write_json(path, about)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{path}: damaged; remove the folder and begin anew") from None
    for name, value in about.items():
        if found.get(name) != value:
            raise InputError(
                f"{folder}: holds rounds with other {name}; give the same, or another folder"
            )


def _digest(features: NDArray[np.floating]) -> str:
    found = hashlib.sha256(str(features.dtype).encode())
    for start in range(0, len(features), 1 << 14):
        found.update(np.ascontiguousarray(features[start : start + (1 << 14)]).tobytes())
    return found.hexdigest()


def _path(folder: Path, number: int) -> Path:
    return folder / f"round-{number:06d}.safetensors"
