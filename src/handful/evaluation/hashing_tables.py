"""Tables of hashing and of finding, for `handful.evaluation.tables`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from handful.evaluation.similarity_tables import Found, Rows, bold, percent

Place = tuple[str, str, int]
Cell = TypeVar("Cell")

_SELECTIONS = {
    "ugh-random": "random",
    "ugh": "shared (the paper's)",
    "ugh-similarity": "by similarity",
    "ugh-category": "for each category",
    "all-codes": "all",
}

_BLOCKS = ("examples, others without labels", "examples", "no labels", "for comparison")
_LEARNED = {
    **dict.fromkeys(("handful-bits", "handful-votes", "ugh-similarity"), _BLOCKS[0]),
    **dict.fromkeys(("ugh", "cca-itq", "ksh", "sdh", "dbc", "fasthash"), _BLOCKS[1]),
    **dict.fromkeys(("ugh-category", "all-codes"), _BLOCKS[3]),
}


def hashing(found: Iterable[Found]) -> Rows:
    """Mean average precision of codes by shots, and what the best row gains on each.

    Blocks by what a code is learned from; the last, which is not of a code's size or knows the
    classes of the queries, is never the best.
    """
    tables: dict[Place, dict[str, dict[int, Found]]] = {}
    for result in (one for one in found if one.get("protocol") == "hashing"):
        bits = 16 if result["model"] == "all-codes" else result["bits"]
        table = tables.setdefault((result["dataset"], result["backbone"], bits), {})
        table.setdefault(result["model"], {})[result["shots"]] = result["metrics"]
    tables, shots = _of_several(tables)
    heads = ["images", "backbone", "bits", "learned from", "model"]
    rows = [[*heads, *(f"mAP, {_examples(n)}" for n in shots)]]
    for place, table in sorted(tables.items()):
        fair = [model for model in table if _block(model) != _BLOCKS[-1]]
        best = max(fair, key=lambda model: max(m["map"] for m in table[model].values()))

        def key(model: str, table: dict[str, dict[int, Found]] = table) -> tuple[int, float]:
            return _BLOCKS.index(_block(model)), -table[model][min(table[model])]["map"]

        for model in sorted(table, key=key):
            cells = [_less(table, best, model, n) for n in shots]
            about = [place[0], f"`{place[1]}`", str(place[2]), _block(model), f"`{model}`"]
            rows.append([*about, *cells])
    return rows


def hashing_lengths(found: Iterable[Found]) -> Rows:
    """Mean average precision by the length of the code, where several were measured."""
    tables: dict[Place, dict[str, dict[int, float]]] = {}
    for result in (one for one in found if one.get("protocol") == "hashing"):
        if result["model"] != "all-codes":
            table = tables.setdefault((result["dataset"], result["backbone"], result["shots"]), {})
            table.setdefault(result["model"], {})[result["bits"]] = result["metrics"]["map"]
    tables, bits = _of_several(tables)
    rows = [["images", "backbone", "examples", "model", *(f"mAP, {n} bits" for n in bits)]]
    for place, table in sorted(tables.items()):
        long = {model: row for model, row in table.items() if len(row) > 1}
        for model, row in sorted(long.items(), key=lambda item: -max(item[1].values())):
            cells = [bold(row[n]) if n in row else "" for n in bits]
            rows.append([place[0], f"`{place[1]}`", str(place[2]), f"`{model}`", *cells])
    return rows


def _of_several(
    tables: dict[Place, dict[str, dict[int, Cell]]],
) -> tuple[dict[Place, dict[str, dict[int, Cell]]], list[int]]:
    """Return the tables that have several columns, and the columns of all of these."""
    columns = {place: {n for row in table.values() for n in row} for place, table in tables.items()}
    kept = {place: table for place, table in tables.items() if len(columns[place]) > 1}
    return kept, sorted({n for place in kept for n in columns[place]})


def _block(model: str) -> str:
    return _LEARNED.get(model, _BLOCKS[2])


def _examples(count: int) -> str:
    return f"{count} example{'s' if count > 1 else ''}"


def _less(by_model: dict[str, dict[int, Found]], best: str, model: str, shots: int) -> str:
    """Write a model's mAP, and by how much the best model's is above it, with the interval."""
    metrics = by_model[model].get(shots)
    if metrics is None:
        return ""
    against = metrics.get("against", {}).get(best)
    if against is None:
        return bold(metrics["map"])
    high, low = (percent(-end) for end in against["interval"])
    return f"{bold(metrics['map'])} (best +{percent(-against['difference'])}, {low} to {high})"


def ugh_order(found: Iterable[Found]) -> Rows:
    """Compare selections of hash functions with random ones, one condition changed each time."""
    rows = [["library", "examples", *_SELECTIONS.values()]]
    for result in (one for one in found if one.get("protocol") == "ugh-order"):
        for library, by_shots in result["libraries"].items():
            for shots, models in by_shots.items():
                cells = [_more(models.get(model)) for model in _SELECTIONS]
                rows.append([library, shots.split()[0], *cells])
    return rows


def find_quality(found: Iterable[Found]) -> Rows:
    """Precision among the first twenty answers: plain cosine, and what each way has less."""
    heads: list[str] = []
    rows: Rows = []
    for result in (one for one in found if one.get("protocol") == "find-quality"):
        for row in result["rows"]:
            ways = [*row["less_than_cosine"]]
            heads = ["pictures", "examples", "draws", "cosine to the mean", *ways]
            about = [f"{row['pictures']:,}, {row['place']}", str(row["shots"]), str(row["n"])]
            shares = row["precision@20"]
            cells = [f"{bold(shares[way])} ({_ends(row['less_than_cosine'][way])})" for way in ways]
            rows.append([*about, bold(shares["cosine"]), *cells])
    return [heads or ["pictures"], *rows]


def _more(one: Found | None) -> str:
    if one is None:
        return ""
    if one["interval"] is None:
        return bold(one["map"])
    low, high = (f"{100 * end:.1f}" for end in one["interval"])
    return f"{bold(one['map'])} ({100 * one['more_than_random']:+.1f}, {low} to {high})"


def _ends(less: Found) -> str:
    # what is less is written as a loss; a zero is added lest it be written as -0.0
    mean, *ends = (round(-100 * share, 1) + 0.0 for share in (less["mean"], *less["interval"]))
    return f"{mean:+.1f}, {min(ends):.1f} to {max(ends):.1f}"
