r"""Real work from few masks: nuclei under the microscope, and defects of magnetic tiles.

    python benchmarks/few_masks.py --nuclei nuclei-sample --tiles magnetic-tile --out results \
        [--models auto ...] [--shots 1 5 10] [--draws 3] [--queries 10]

For each kind of picture, examples are drawn and the same other pictures are segmented: the
intersection over union of all their pixels, and for nuclei how far the number counted is from the
number annotated, as a share of it (objects that touch are counted one by one). The examples of
fewer shots are among those of more. ``unrefined`` is the model without `refine="edges"`.
Nothing is chosen here: every picture is new to every model.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handful import Segmenter
from handful.data.progress import track
from handful.files import write_json
from handful.methods.masks.refining import Refine
from handful.provenance import describe_device, provenance

MODELS = ("auto", "auto:unrefined", "prototypes:handful-base", "fine-tuning:handful-base")
TILES = ("Blowhole", "Break", "Crack", "Fray", "Uneven")

Labels = NDArray[np.int32]
Pairs = list[tuple[Path, Path]]


@dataclass(frozen=True)
class Kind:
    """Pictures of one kind, each with its annotation."""

    name: str
    pairs: Pairs
    counted: bool


def kinds(nuclei: Path | None, tiles: Path | None) -> Iterator[Kind]:
    """List the kinds of both sets."""
    for folder in sorted(nuclei.iterdir()) if nuclei else ():
        images = sorted((folder / "images").glob("*.png"))
        if images:
            pairs = [(path, folder / "labels" / path.name) for path in images]
            yield Kind(f"nuclei, {folder.name}", pairs, True)
    for defect in TILES if tiles else ():
        assert tiles is not None
        images = sorted((tiles / f"MT_{defect}").glob("*.jpg"))
        pairs = [(path, path.with_suffix(".png")) for path in images]
        # a few annotations of the set are empty
        yield Kind(f"tiles, {defect}", [p for p in pairs if labels(p[1]).any()], False)


def labels(path: Path) -> Labels:
    """Read an annotation: 0 is background."""
    with Image.open(path) as image:
        return np.asarray(image).astype(np.int32)


def measure(kind: Kind, model: str, shots: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Segment the same pictures from several draws of examples."""
    name = model.removesuffix(":unrefined")
    refine: Refine | None = "edges" if name == model else None
    ious, errors, chosen, start = [], [], set(), time.perf_counter()
    for draw in range(asked.draws):
        order = np.random.default_rng([asked.seed, draw]).permutation(len(kind.pairs))
        queries = [kind.pairs[i] for i in order[-asked.queries :]]
        examples = [kind.pairs[i] for i in order[: len(order) - asked.queries][:shots]]
        segmenter = Segmenter(name, reject=None, refine=refine, split=kind.counted)
        segmenter.fit([image for image, _ in examples], [labels(mask) > 0 for _, mask in examples])
        chosen.add(segmenter.method_.name)
        common = either = 0
        for image, mask in queries:
            truth = labels(mask)
            region = segmenter.predict(image)["object"]
            found = np.zeros(truth.shape, bool) if region.mask is None else region.mask
            common += int((found & (truth > 0)).sum())
            either += int((found | (truth > 0)).sum())
            true = len(np.unique(truth[truth > 0]))
            errors.append(abs(region.objects - true) / true)
        ious.append(common / either)
    return {
        "kind": kind.name,
        "model": model,
        "method": sorted(chosen),
        "shots": shots,
        "iou": float(np.mean(ious)),
        "each": [round(iou, 4) for iou in ious],
        "count_error": float(np.mean(errors)) if kind.counted else None,
        "queries": asked.queries * asked.draws,
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--nuclei", type=Path)
    parser.add_argument("--tiles", type=Path)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5, 10])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder of the result")
    asked = parser.parse_args()
    jobs = [
        (kind, model, shots)
        for kind in kinds(asked.nuclei, asked.tiles)
        for shots in asked.shots
        if len(kind.pairs) >= shots + asked.queries
        for model in asked.models
        # every pixel of every example at each of its steps: minutes beyond one example
        if shots == 1 or not model.startswith("fine-tuning")
    ]
    rows = []
    for kind, model, shots in track(jobs, "segmenting", len(jobs)):
        rows.append(measure(kind, model, shots, asked))
        print(rows[-1], file=sys.stderr, flush=True)
    origin = provenance([], asked.seed, describe_device("auto"))
    roots = [("--nuclei", asked.nuclei), ("--tiles", asked.tiles)]
    argv = [word for flag, root in roots if root for word in (flag, root.name)]
    if tuple(asked.models) != MODELS:
        argv += ["--models", *asked.models]
    argv += ["--draws", str(asked.draws), "--queries", str(asked.queries)]
    origin["command"] = " ".join(["python benchmarks/few_masks.py", *argv])
    ious: dict[str, list[float]] = {}
    for row in rows:
        ious.setdefault(f"{row['model']}-{row['shots']}shot", []).append(row["iou"])
    means = {name: float(np.mean(values)) for name, values in ious.items()}
    answer = {
        "protocol": "few-masks",
        "dataset": "nuclei-sample, magnetic-tile",
        "model": "segmenters",
        "n": asked.queries * asked.draws,
        "metrics": means,
        "rows": rows,
    }
    write_json(asked.out / "few-masks.json", answer | origin)
    return 0


if __name__ == "__main__":
    sys.exit(main())
