"""Tables of a document, written from ``results/*.json``: ``python -m handful.evaluation.tables``.

A document marks where a table stands by ``<!-- table: NAME -->`` and ``<!-- end -->``; what lies
between is replaced, so no figure is ever typed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from handful.errors import InputError
from handful.evaluation import (
    glance_table,
    hashing_tables,
    segmentation_tables,
    similarity_tables,
)
from handful.evaluation.published import omniglot_rows
from handful.evaluation.similarity_tables import Found, Rows, bold, percent
from handful.files import write_text

_MARK = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PROTOCOLS = ("within-alphabet", "random-character", "lake")


def fill(text: str, results: Path) -> str:
    """Replace every marked table of a document by one of what was measured.

    Parameters
    ----------
    text : str
        The document.
    results : Path
        The folder of the results.

    Raises
    ------
    InputError
        The document asks for a table that there is none of.
    """
    found = [json.loads(path.read_text("utf-8")) for path in sorted(results.glob("*.json"))]

    def table(match: re.Match[str]) -> str:
        if match[2] not in _TABLES:
            raise InputError(f"no table {match[2]!r}: there are {', '.join(_TABLES)}")
        return match[1] + _markdown(_TABLES[match[2]](found)) + match[3]

    return _MARK.sub(table, text)


def one_shot(found: Iterable[Found]) -> Rows:
    """20-way one-shot accuracy on Omniglot: ours as measured, and the papers' rows."""
    rows: dict[str, dict[str, str]] = {}
    for result in _standard(found):
        cell = bold(result["metrics"]["accuracy"], result["metrics"]["interval"])
        rows.setdefault(f"`{result['model']}`", {})[result["protocol"]] = cell
    for protocol in _PROTOCOLS:
        for row in omniglot_rows(protocol, 20, 1):
            name = f"{row['model']} (published)"
            rows.setdefault(name, {})[protocol] = percent(row["accuracy"])
    heads = ["model", "within alphabet", "random characters", "official runs"]
    return [heads, *([name, *(r.get(p, "") for p in _PROTOCOLS)] for name, r in rows.items())]


def known_or_not(found: Iterable[Found]) -> Rows:
    """Rejection of strangers and verification of pairs on Omniglot."""
    rows = [["model", "protocol", "rejection AUROC", "accuracy", "same/different AUC", "accuracy"]]
    for result in _standard(found):
        rejected, verified = result["metrics"]["rejection"], result["metrics"]["verification"]
        if rejected is None:
            continue
        figures = [rejected["auroc"], rejected["accuracy"], verified["auc"], verified["accuracy"]]
        cells = ["" if figure is None else f"{figure:.3f}" for figure in figures]
        rows.append([f"`{result['model']}`", result["protocol"], *cells])
    return rows


def training(found: Iterable[Found]) -> Rows:
    """Cost of the training runs, and what they reached on validation alphabets."""
    rows = [["recipe", "images", "minutes", "one-shot accuracy, validation"]]
    for result in found:
        if result.get("protocol") == "training" and "one_shot" in result["metrics"]:
            minutes = f"{result['seconds'] / 60:.0f}"
            share = percent(result["metrics"]["one_shot"])
            rows.append([f"`{result['model']}`", f"{result['images']:,}", minutes, share])
    return rows


def photos(found: Iterable[Found]) -> Rows:
    """Kinds of things: classes of Caltech-101 that nothing was chosen on."""
    return _folders(found, "caltech66")


def individuals(found: Iterable[Found]) -> Rows:
    """Individuals of one kind: lions that nothing was chosen on."""
    return _folders(found, "lion-reid-val")


def _folders(found: Iterable[Found], dataset: str) -> Rows:
    """Lay out retrieval and 5-way episodes of one folder, a row for each model and size."""
    rows: dict[tuple[int, str], dict[str, str]] = {}
    order: dict[tuple[int, str], float] = {}
    for result in found:
        column = _column(result)
        if result.get("dataset") != dataset or column is None or "size" not in result:
            continue
        metric = "recall@1" if column == "Recall@1" else "accuracy"
        share, interval = result["metrics"][metric], result["metrics"]["interval"]
        key = (result["size"], result["model"])
        rows.setdefault(key, {})[column] = bold(share, interval)
        if column == "Recall@1":
            order[key] = share
    heads = ["model", "pixels", *_COLUMNS]
    ranked = sorted(order, key=lambda key: (key[0], -order[key]))
    return [
        heads,
        *([f"`{k[1]}`", str(k[0]), *(rows[k].get(c, "") for c in _COLUMNS)] for k in ranked),
    ]


def cells(found: Iterable[Found]) -> Rows:
    """Blood cells cut out by their boxes, named from a few examples; the mean over episodes."""
    rows: dict[str, dict[int, str]] = {}
    for result in found:
        if result.get("dataset") == "blood-cells-sample-boxes" and "shots" in result:
            table = result["metrics"]["confusion"]
            recalls = [row[label] / sum(row.values()) for label, row in table.items()]
            share = percent(result["metrics"]["accuracy"])
            balanced = percent(sum(recalls) / len(recalls))
            cell = f"**{share}** ({balanced})"
            rows.setdefault(f"`{result['model']}`", {})[result["shots"]] = cell
    shots = sorted({count for row in rows.values() for count in row})
    heads = ["model", *(f"{count} example{'s' * (count > 1)}" for count in shots)]
    return [
        heads,
        *([name, *(row.get(count, "") for count in shots)] for name, row in rows.items()),
    ]


def strangers(found: Iterable[Found]) -> Rows:
    """Rejection of classes without examples, where as many queries are of such classes."""
    rows = [["model", "photos", "support", "named rightly", "AUROC", "right at the threshold"]]
    for result in found:
        fewshot = result.get("protocol") == "fewshot"
        rejected = result["metrics"].get("rejection") if fewshot else None
        if rejected is not None:
            rows.append(
                [
                    f"`{result['model']}`",
                    f"{result['dataset']}, {result['size']} pixels",
                    f"{result['ways']} classes, {result['shots']} examples",
                    percent(result["metrics"]["accuracy"]),
                    f"{rejected['auroc']:.3f}",
                    percent(rejected["accuracy"]),
                ]
            )
    return rows


def speed(found: Iterable[Found]) -> Rows:
    """Photos a second through handful-base, and the ratio to timm's run of its source."""
    for result in found:
        if result.get("protocol") == "backbone-speed":
            sizes = result["sizes"].items()
            ways = [*next(iter(result["sizes"].values()))["photos_per_second"]]
            rates = [
                [f"{row['photos_per_second'][way]:.0f} ({row['ratio'][way]:.1f}x)" for way in ways]
                for _, row in sizes
            ]
            names = [size for size, _ in sizes]
            body = [[n, *cells] for n, cells in zip(names, rates, strict=True)]
            return [["pixels", *ways], *body]
    return [["pixels"]]


_COLUMNS = ("Recall@1", "5-way 1-shot", "5-way 5-shot")


def _column(result: Found) -> str | None:
    if result.get("protocol") == "retrieval":
        return _COLUMNS[0]
    if result.get("protocol") == "fewshot" and result["ways"] == 5:
        name = f"5-way {result['shots']}-shot"
        return name if name in _COLUMNS else None
    return None


def _standard(found: Iterable[Found]) -> list[Found]:
    """Return the 20-way one-shot results on Omniglot, the best model of a protocol first."""
    chosen = [
        r
        for r in found
        if r.get("dataset") == "omniglot" and (r.get("ways"), r.get("shots")) == (20, 1)
    ]
    return sorted(
        chosen, key=lambda r: (_PROTOCOLS.index(r["protocol"]), -r["metrics"]["accuracy"])
    )


def _markdown(rows: Rows) -> str:
    heads, *body = rows
    lines = [heads, ["---"] * len(heads), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_TABLES: dict[str, Callable[[Iterable[Found]], Rows]] = {
    "glance": glance_table.glance,
    "one-shot": one_shot,
    "known-or-not": known_or_not,
    "training": training,
    "photos": photos,
    "individuals": individuals,
    "cells": cells,
    "speed": speed,
    "strangers": strangers,
    "erasing": similarity_tables.erasing,
    "explain-speed": similarity_tables.explain_speed,
    "retrieval": similarity_tables.retrieval,
    "reid": similarity_tables.reid,
    "metric-learning": similarity_tables.metric_learning,
    "hashing": hashing_tables.hashing,
    "hashing-lengths": hashing_tables.hashing_lengths,
    "ugh-order": hashing_tables.ugh_order,
    "find-quality": hashing_tables.find_quality,
    "mining-conditions": similarity_tables.mining_conditions,
    "segmentation": segmentation_tables.segmentation,
    "segmentation-classes": segmentation_tables.segmentation_classes,
    "segmentation-differences": segmentation_tables.segmentation_differences,
    "segmentation-training": segmentation_tables.segmentation_training,
    "without-masks": segmentation_tables.without_masks,
    "conditioning": segmentation_tables.conditioning,
    "mshnet-stages": segmentation_tables.stages,
    "few-masks": segmentation_tables.few_masks,
    "weight-hashing": segmentation_tables.weight_hashing,
}


def main(arguments: Sequence[str]) -> int:
    """Fill the tables of documents from the folder ``results``; return the exit status."""
    if not arguments:
        print("usage: python -m handful.evaluation.tables DOCUMENT.md ...", file=sys.stderr)
        return 2
    for name in arguments:
        document = Path(name)
        write_text(document, fill(document.read_text("utf-8"), Path("results")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
