"""How the bundled Omniglot sample was drawn: by chance alone, never by how well a model does.

``python -m handful.data.samples.draw OMNIGLOT OUT`` draws it again; OMNIGLOT is the folder with
``images_evaluation``.
"""

from __future__ import annotations

import csv
import io
import shutil
import sys
from pathlib import Path

import numpy as np

from handful.files import write_text

SEED = 0
PER_ALPHABET = (7, 7, 6)
"""Characters of each of the three alphabets of the support."""
STRANGERS = 6
"""Characters of a fourth alphabet."""
QUERIES = 2
"""Queries of each character of the support, by drawers other than the example's."""


def draw(omniglot: Path, out: Path) -> None:
    """Write ``support/``, ``query/`` and ``truth.csv`` into `out`.

    Parameters
    ----------
    omniglot : Path
        The folder with ``images_evaluation/ALPHABET/characterNN/NNNN_DD.png``.
    out : Path
        Where to write; the pictures are copied byte for byte.
    """
    rng = np.random.default_rng(SEED)
    root = omniglot / "images_evaluation"
    alphabets = rng.permutation(sorted(folder.name for folder in root.iterdir()))
    queries: list[tuple[Path, str]] = []
    for alphabet, count in zip(alphabets[:3], PER_ALPHABET, strict=True):
        for character in _some(rng, root / alphabet, count):
            label = f"{alphabet}-{character.name.removeprefix('character')}"
            example, *others = _some(rng, character, 1 + QUERIES)
            _copy(example, out / "support" / label / example.name)
            queries += [(path, label) for path in others]
    for character in _some(rng, root / alphabets[3], STRANGERS):
        queries += [(path, "") for path in _some(rng, character, 1)]
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["image", "label", "source"])
    for number, place in enumerate(rng.permutation(len(queries)), 1):
        path, label = queries[place]
        _copy(path, out / "query" / f"{number:02}.png")
        writer.writerow([f"{number:02}.png", label, path.relative_to(omniglot).as_posix()])
    write_text(out / "truth.csv", rows.getvalue())


def _some(rng: np.random.Generator, folder: Path, count: int) -> list[Path]:
    inside = sorted(folder.iterdir())
    return [inside[place] for place in rng.permutation(len(inside))[:count]]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
