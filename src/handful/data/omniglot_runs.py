"""The official one-shot runs of Omniglot: read, and written from any set of characters.

B. Lake, R. Salakhutdinov, J. Tenenbaum, "Human-level concept learning through probabilistic
program induction", Science 350, 2015: 20 runs, in each 20 test images of one drawer to be matched
with the training images of another.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handful.data.omniglot import OmniglotSet, decode_all, subfolders
from handful.errors import InputError
from handful.files import replacing, write_text

_RUNS = "runNN/{training,test}/*.png + runNN/class_labels.txt"


@dataclass(frozen=True, eq=False)
class Runs:
    """One-shot runs: in each, test images to be matched with one training image per class.

    Attributes
    ----------
    images : ndarray
        (N, H, W) uint8, 255 is paper and 0 is ink.
    paths : tuple of str
        The file of each image, relative to `root`, with forward slashes.
    support : ndarray
        The training images of each run, (runs, ways) int64, indices into `images`.
    query : ndarray
        The test images of each run, (runs, queries) int64, indices into `images`.
    target : ndarray
        The column of `support` that each test image belongs to, (runs, queries) int64.
    root : Path
        The folder of the runs.
    """

    images: NDArray[np.uint8]
    paths: tuple[str, ...]
    support: NDArray[np.int64]
    query: NDArray[np.int64]
    target: NDArray[np.int64]
    root: Path


def read_runs(root: str | os.PathLike[str]) -> Runs:
    """Read the official one-shot runs, or any folder in their layout.

    Parameters
    ----------
    root : path-like
        A folder of ``run01``, ``run02``, ..., each with ``training/*.png``, ``test/*.png`` and a
        ``class_labels.txt`` whose lines pair a test file with the training file of its class,
        both relative to `root`: ``run01/test/item01.png run01/training/class08.png``.

    Returns
    -------
    Runs
        The training images sorted by name, the test images in the order of the lines.

    Raises
    ------
    InputError
        The folder is not in that layout, a named file is missing, or the runs differ in size.
    """
    root = Path(root)
    folders = (
        [p for p in subfolders(root) if re.fullmatch(r"run\d+", p.name)] if root.is_dir() else []
    )
    if not folders:
        raise InputError(f"{root}: not in the layout {_RUNS}; give the folder that holds run01")
    support: list[list[str]] = []
    pairs: list[list[list[str]]] = []
    for folder in folders:
        support.append(
            [p.relative_to(root).as_posix() for p in sorted(folder.glob("training/*.png"))]
        )
        pairs.append(_pairs(root, folder, set(support[-1])))
        if len(support[-1]) != len(support[0]) or len(pairs[-1]) != len(pairs[0]):
            raise InputError(
                f"{folder}: {len(support[-1])} training and {len(pairs[-1])} test images, not "
                f"{len(support[0])} and {len(pairs[0])} as {folders[0].name}; complete the run"
            )
    queries = [[test for test, _ in run] for run in pairs]
    paths = tuple(
        path for run in zip(support, queries, strict=True) for part in run for path in part
    )
    index = {path: i for i, path in enumerate(paths)}
    return Runs(
        images=decode_all(root, paths, "reading the runs"),
        paths=paths,
        support=np.array([[index[p] for p in run] for run in support]),
        query=np.array([[index[p] for p in run] for run in queries]),
        target=np.array(
            [
                [classes.index(t) for _, t in run]
                for classes, run in zip(support, pairs, strict=True)
            ]
        ),
        root=root,
    )


def _pairs(root: Path, folder: Path, training: set[str]) -> list[list[str]]:
    labels = folder / "class_labels.txt"
    if not labels.is_file():
        raise InputError(f"{labels}: no such file; give a folder in the layout {_RUNS}")
    pairs = [
        line.split() for line in labels.read_text(encoding="utf-8").splitlines() if line.strip()
    ]
    if not pairs:
        raise InputError(f"{labels}: names no test image; restore the file")
    for number, pair in enumerate(pairs, 1):
        if len(pair) != 2 or pair[1] not in training or not (root / pair[0]).is_file():
            raise InputError(
                f"{labels}: line {number} does not pair a test file with a training file of "
                f"{folder.name}, both relative to {root}"
            )
    return pairs


def write_runs(
    dataset: OmniglotSet, out: str | os.PathLike[str], runs: int = 20, ways: int = 20, seed: int = 0
) -> None:
    """Write one-shot runs in the layout that :func:`read_runs` reads.

    Each run takes one alphabet, `ways` of its characters and two drawers: one draws the training
    images, the other the test images.

    Parameters
    ----------
    dataset : OmniglotSet
        Where the characters come from; alphabets are taken in turn.
    out : path-like
        The folder to write ``run01``, ``run02``, ... into.
    runs, ways : int
        How many runs, and how many characters in each.
    seed : int
        Everything drawn follows from it.
    """
    rng = np.random.default_rng(seed)
    usable = [c for c in dataset.characters if len(c) >= ways]
    if not usable:
        raise InputError(f"{dataset.root}: no alphabet has {ways} characters; ask for fewer ways")
    for run in range(runs):
        characters = rng.choice(usable[run % len(usable)], ways, replace=False)
        complete = np.flatnonzero((dataset.table[characters] >= 0).all(0))
        if len(complete) < 2:
            raise InputError(f"{dataset.root}: no two drawers drew the same {ways} characters")
        teacher, learner = rng.choice(complete, 2, replace=False)
        name, order = f"run{run + 1:02d}", rng.permutation(ways)
        for place, character in enumerate(characters):
            image = dataset.images[dataset.table[character, teacher]]
            _write_image(Path(out) / name / "training" / f"class{place + 1:02d}.png", image)
        lines = []
        for item, place in enumerate(order):
            test = f"{name}/test/item{item + 1:02d}.png"
            image = dataset.images[dataset.table[characters[place], learner]]
            _write_image(Path(out) / test, image)
            lines.append(f"{test} {name}/training/class{place + 1:02d}.png\n")
        write_text(Path(out) / name / "class_labels.txt", "".join(lines))


def _write_image(path: Path, image: NDArray[np.uint8]) -> None:
    with replacing(path) as part:
        part.write_bytes(cv2.imencode(".png", image)[1].tobytes())
