r"""What `Finder` finds: its default, its shortlist, and codes, against plain cosine to the mean.

    python benchmarks/find_quality.py --photos caltech66 --split caltech66-split.txt \
        [--others tiny-imagenet-40k] --work WORK --out results [--draws 10] [--bits 64]

A few photos of a test class are the examples; precision@20 is the share of that class among the
twenty answers, the examples left out. ``among each other``: the test classes alone. ``among
others``: with the photos of ILSVRC's classes in --others, but for those that a test class shows
too (`LEFT_OUT`), all shrunk to 64 pixels first. The shortlist is as large a share of the index as
it is of 200,000 pictures, from which on it is used. WORK keeps the shrunk photos and the indexes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handful import Finder, Index
from handful.data.class_folders import ClassFolders, classes_of_role, read_class_folders
from handful.data.progress import track
from handful.files import replacing, write_json
from handful.metrics.accuracy import mean_interval
from handful.provenance import describe_device, provenance

SHOTS, K, SIDE = (1, 3, 10), 20, 64
SHARE = 5000 / 200_000
"""How much of the pictures the shortlist of a Finder holds where it begins to be used."""

LEFT_OUT = (
    # barrel, dragonfly, panda, pizza, scorpion, umbrella, lamp, cup and wild_cat are test classes
    "n02795169",  # barrel
    "n02268443",  # dragonfly
    "n02509815",  # lesser panda
    "n07873807",  # pizza
    "n01770393",  # scorpion
    "n04507155",  # umbrella
    "n03637318",  # lampshade
    "n07920052",  # espresso, in a cup
    "n02123045",  # tabby
    "n02124075",  # Egyptian cat
    "n02125311",  # cougar
)


@dataclass(frozen=True)
class Place:
    """An index, and which of its pictures show what."""

    name: str
    index: Index
    labels: dict[str, str]


def places(asked: argparse.Namespace) -> Iterator[Place]:
    """Build what is searched."""
    known = read_class_folders(asked.photos, classes_of_role(asked.split, "test"))
    plain = asked.work / "plain"
    copy(known, plain, None)
    index = Index.build(plain, asked.work / "plain.index", "handful-base")
    yield Place("among each other", index, labelled(known, plain))
    if asked.others is None:
        return
    mixed = asked.work / "mixed"
    copy(known, mixed / "known", SIDE)
    rest = [path.name for path in sorted(asked.others.iterdir()) if path.is_dir()]
    others = read_class_folders(asked.others, [name for name in rest if name not in LEFT_OUT])
    copy(others, mixed / "others", SIDE)
    index = Index.build(mixed, asked.work / "mixed.index", "handful-base")
    yield Place("among others, 64 pixels", index, labelled(known, mixed / "known"))


def copy(folder: ClassFolders, target: Path, side: int | None) -> None:
    """Copy photos as PNG, shrunk to squares of `side` where that is asked for."""
    for path, name in track(zip(folder.paths, folder.names, strict=True), "copying", len(folder)):
        out = (target / name).with_suffix(".png")
        if out.exists():
            continue
        out.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image, replacing(out) as part:
            photo = image.convert("RGB")
            small = photo if side is None else photo.resize((side, side), Image.Resampling.LANCZOS)
            small.save(part, "PNG", compress_level=1)


def labelled(folder: ClassFolders, target: Path) -> dict[str, str]:
    """Return the class of every copy by its path."""
    return {
        str((target / name).with_suffix(".png").absolute()): label
        for name, label in zip(folder.names, folder.labels, strict=True)
    }


def measure(place: Place, shots: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Return the precision of every way, and what it is less than plain cosine's."""
    by_class: dict[str, list[str]] = {}
    for path, label in place.labels.items():
        by_class.setdefault(label, []).append(path)
    size = max(round(SHARE * len(place.index)), 2 * K)
    ways = {
        "default": Finder(place.index),
        "shortlist": Finder(place.index, shortlist=size),
        f"{asked.bits} bits": Finder(place.index, bits=asked.bits),
    }
    found: dict[str, list[float]] = {"cosine": [], **{way: [] for way in ways}}
    features, rows = table(place.index)
    for number, (label, paths) in enumerate(by_class.items()):
        for draw in range(asked.draws):
            rng = np.random.default_rng([asked.seed, number, draw])
            examples = [str(path) for path in rng.permutation(sorted(paths))[:shots]]
            hits = cosine(features, rows, examples)
            found["cosine"].append(precision(place, label, hits))
            for way, finder in ways.items():
                matches = finder.fit(examples).search(K)
                found[way].append(precision(place, label, [str(m.image) for m in matches]))
    values = {way: np.array(each) for way, each in found.items()}
    return {
        "place": place.name,
        "pictures": len(place.index),
        "shots": shots,
        "n": len(values["cosine"]),
        "shortlist": size,
        "precision@20": {way: float(each.mean()) for way, each in values.items()},
        "less_than_cosine": {
            way: {
                "mean": float((values["cosine"] - each).mean()),
                "interval": [*mean_interval(values["cosine"] - each)],
            }
            for way, each in values.items()
            if way != "cosine"
        },
    }


def table(index: Index) -> tuple[NDArray[np.float64], dict[str, int]]:
    """Return the features of every picture in unit length, and its row by its path."""
    kept = index.snapshot()
    features = np.concatenate(kept.parts).astype(np.float64)
    paths = index.paths(kept, range(len(kept)))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return unit, {path: row for row, path in enumerate(paths)}


def cosine(features: NDArray[np.float64], rows: dict[str, int], examples: list[str]) -> list[str]:
    """Rank all pictures but the examples by the cosine to the mean of the examples."""
    own = [rows[path] for path in examples]
    scores = features @ features[own].mean(0)
    scores[own] = -np.inf
    paths = [*rows]
    return [paths[row] for row in np.argsort(-scores, kind="stable")[:K]]


def precision(place: Place, label: str, answers: list[str]) -> float:
    """Return the share of a class among answers."""
    return float(np.mean([place.labels.get(path) == label for path in answers]))


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True, help="lines 'CLASS ROLE'")
    parser.add_argument("--others", type=Path, help="classes of ILSVRC by WordNet's numbers")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=10, help="of examples, for each class")
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder of the result")
    asked = parser.parse_args()
    rows = []
    for place in places(asked):
        for shots in SHOTS:
            rows.append(measure(place, shots, asked))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    lost = [row["less_than_cosine"] for row in rows]
    passed = all(
        each["default"]["mean"] <= 0 and each["shortlist"]["mean"] <= 0.01 for each in lost
    )
    argv = ["--photos", asked.photos.name, "--split", asked.split.name]
    argv += ["--others", asked.others.name] if asked.others else []
    origin = provenance([], asked.seed, describe_device("auto"))
    origin["command"] = " ".join(["python benchmarks/find_quality.py", *argv])
    answer = {
        "protocol": "find-quality",
        "dataset": "caltech66",
        "model": "finder",
        "backbone": "handful-base",
        "n": rows[0]["n"],
        "metrics": {f"{row['place']}, {row['shots']}": row["precision@20"] for row in rows},
        "rows": rows,
        "passed": passed,
    }
    write_json(asked.out / "find-quality-caltech66.json", answer | origin)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
