"""How the bundled samples were drawn: by chance alone, never by how well a model does.

``python -m handful.data.samples.draw omniglot OMNIGLOT OUT``, ``... draw cells CELLS OUT`` and
``... draw nuclei NUCLEI OUT`` draw them again; OMNIGLOT is the folder with ``images_evaluation``,
CELLS the one with ``images`` and ``boxes``, NUCLEI the one with ``images`` and ``labels``.
"""

from __future__ import annotations

import csv
import io
import shutil
import sys
from pathlib import Path

import numpy as np

from handful.data.manifest import Row, read_manifest
from handful.files import write_text

SEED = 0
PER_ALPHABET = (7, 7, 6)
"""Characters of each of the three alphabets of the support."""
STRANGERS = 6
"""Characters of a fourth alphabet."""
QUERIES = 2
"""Queries of each character of the support, by drawers other than the example's."""
PHOTOS, EXAMPLES = 12, 3
"""Photos of blood with all kinds of cell; those of them that each give one example of a kind."""
NUCLEI = 4
"""Pictures of nuclei to segment, beside the one example."""


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


def draw_cells(cells: Path, out: Path) -> None:
    """Write ``images/``, ``support.csv`` and ``query.csv`` into `out`.

    Parameters
    ----------
    cells : Path
        The folder with ``images/*.jpg`` and ``boxes/*.xml``.
    out : Path
        Where to write; the photos are copied byte for byte.
    """
    rng = np.random.default_rng(SEED)
    by_photo: dict[Path, list[Row]] = {}
    for row in read_manifest(cells / "boxes"):
        by_photo.setdefault(row.path, []).append(row)
    kinds = {row.label for rows in by_photo.values() for row in rows}
    whole = sorted(p for p, rows in by_photo.items() if {row.label for row in rows} == kinds)
    chosen = [whole[place] for place in rng.permutation(len(whole))[:PHOTOS]]
    support: list[Row] = []
    for photo in chosen[:EXAMPLES]:
        for kind in sorted(map(str, kinds)):
            rows = [row for row in by_photo[photo] if row.label == kind]
            support.append(rows[int(rng.integers(len(rows)))])
    query = [row for photo in sorted(chosen[EXAMPLES:]) for row in by_photo[photo]]
    for name, listed in (("support.csv", support), ("query.csv", query)):
        write_text(out / name, _table(listed))
    for photo in chosen:
        _copy(photo, out / "images" / photo.name)


def draw_nuclei(nuclei: Path, out: Path) -> None:
    """Write ``support/`` and ``query/``, each with ``images/`` and ``masks/``, into `out`.

    Parameters
    ----------
    nuclei : Path
        The folder of stained pictures, with ``images/*.png`` and ``labels/*.png``.
    out : Path
        Where to write; pictures are copied byte for byte under the first twelve digits of their
        names.
    """
    chosen = _some(np.random.default_rng(SEED), nuclei / "images", 1 + NUCLEI)
    for place, photo in enumerate(chosen):
        folder, name = out / ("query" if place else "support"), f"{photo.stem[:12]}.png"
        _copy(photo, folder / "images" / name)
        _copy(nuclei / "labels" / photo.name, folder / "masks" / name)


def _table(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "x", "y", "width", "height", "group"])
    for row in rows:
        assert row.box is not None
        box = [format(value, "g") for value in row.box]
        writer.writerow([f"images/{row.path.name}", row.label, *box, row.path.stem])
    return text.getvalue()


def _some(rng: np.random.Generator, folder: Path, count: int) -> list[Path]:
    inside = sorted(folder.iterdir())
    return [inside[place] for place in rng.permutation(len(inside))[:count]]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    which = {"omniglot": draw, "cells": draw_cells, "nuclei": draw_nuclei}[sys.argv[1]]
    which(Path(sys.argv[2]), Path(sys.argv[3]))
