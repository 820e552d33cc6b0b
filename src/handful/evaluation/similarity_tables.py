"""Tables of explanations, retrieval and re-identification, for `handful.evaluation.tables`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from handful.evaluation.published_retrieval import reid_rows, retrieval_rows

Found = dict[str, Any]
Rows = list[list[str]]

_ERASED = {
    "score": "by shares of the similarity, as `handful explain`",
    "difference": "by weight vectors of a triplet (Zheng et al., 2022)",
    "gradcam": "Grad-CAM of the predicted class",
    "centre": "the middle of the photo, explaining nothing",
}
_SETS = {"cub": "CUB-200-2011", "cars": "Cars-196", "sop": "Online Products"}
_PEOPLE = {"cuhk03": "CUHK03-NP", "duke": "DukeMTMC"}
_OWN = "measured here"
_KEPT = {1.0: "as trained", 0.5: "half-way"}


def percent(share: float) -> str:
    """Write a share in per cent.

    Examples
    --------
    >>> percent(0.1234)
    '12.3'
    """
    return f"{100 * share:.1f}"


def bold(share: float, interval: Iterable[float] | None = None) -> str:
    """Write what was measured: a share in per cent, with its interval.

    Examples
    --------
    >>> bold(0.5, (0.4, 0.6))
    '**50.0** (40.0-60.0)'
    """
    ends = "" if interval is None else f" ({'-'.join(percent(end) for end in interval)})"
    return f"**{percent(share)}**{ends}"


def erasing(found: Iterable[Found]) -> Rows:
    """Similarity lost by erasing the fifth that an explanation marks, against shifted masks."""
    heads = ["marked", "model", "triplets", "lost", "lost to shifted masks", "ratio"]
    rows = [[*heads, "lost more than shifted, %"]]
    for result in (one for one in found if one.get("protocol") == "erasing"):
        for way, name in _ERASED.items():
            if way not in result["metrics"]:
                continue
            one = result["metrics"][way]
            low, high = one["interval"]
            ratio = f"**{one['ratio']:.2f}** ({low:.2f}-{high:.2f})"
            falls = [f"{one['fall']:.3f}", f"{one['random_fall']:.3f}"]
            count = f"{result['n']} of {result['dataset']}"
            above = percent(one["above"])
            rows.append([name, f"`{result['model']}`", count, *falls, ratio, above])
    return rows


def explain_speed(found: Iterable[Found]) -> Rows:
    """Seconds to explain the same photos, and how often faster than Grad-CAM by its package."""
    rows = [["network", "triplets", "Grad-CAM, s", "closed form, s", "in handful's own layout, s"]]
    for result in (one for one in found if one.get("protocol") == "explain-speed"):
        for name, one in result["networks"].items():
            seconds, ratio = one["seconds"], one["ratio"]
            cells = [f"{seconds[way]:.1f} ({ratio[way]:.1f}x)" for way in ("closed", "handful")]
            rows.append([f"`{name}`", str(result["n"]), f"{seconds['rival']:.1f}", *cells])
    return rows


def retrieval(found: Iterable[Found]) -> Rows:
    """Recall@1 as published on other sets, and ours on classes that nothing was chosen on."""
    tables = {name: retrieval_rows(name) for name in _SETS}
    rows = _published(tables, lambda row: percent(row["recall@1"]))
    own = []
    for result in found:
        folders = result.get("protocol") == "retrieval" and "layout" not in result
        if folders and result.get("dataset") == "caltech66" and result.get("size") == 160:
            share, interval = result["metrics"]["recall@1"], result["metrics"]["interval"]
            own.append((share, f"`{result['model']}`", bold(share, interval)))
    heads = ["model", *_SETS.values(), f"33 classes of Caltech-101, 160 pixels, {_OWN}"]
    return _side_by_side(heads, rows, own)


def reid(found: Iterable[Found]) -> Rows:
    """Rank 1 and mAP as published of people, and ours of lions that nothing was chosen on."""
    tables = {name: reid_rows(name) for name in _PEOPLE}
    rows = _published(tables, lambda row: f"{percent(row['cmc@1'])} / {percent(row['map'])}")
    own = []
    for result in (one for one in found if one.get("protocol") == "reid"):
        metrics = result["metrics"]
        cell = f"{bold(metrics['cmc@1'], metrics['interval'])} / {percent(metrics['map'])}"
        own.append((metrics["cmc@1"], f"`{result['model']}`", cell))
    heads = ["model", *_PEOPLE.values(), f"19 lions, {_OWN}"]
    return _side_by_side(heads, rows, own)


def metric_learning(found: Iterable[Found]) -> Rows:
    """Recall@1 with and without similarity mining, the mean over the seeds."""
    heads = ["photos", "backbone", "loss", "rate", "weights kept", "untouched", "trained"]
    rows = [[*heads, "with mining", "difference"]]
    for result in (one for one in found if one.get("protocol") == "metric-learning"):
        about = [result["dataset"], f"`{result['backbone']}`"]
        before = percent(result["untouched"]["recall@1"])
        rates = {run["loss"]: f"{run['options']['rate']:.0e}" for run in result["runs"]}
        for pair in result["paired"]:
            gain = pair["difference"]
            spread = f" ± {100 * gain['deviation']:.1f}" if gain["deviation"] is not None else ""
            sides = [bold(pair[side]["mean"]["recall@1"]) for side in ("without", "with")]
            # a zero is added lest it be written as -0.0
            mean = round(100 * gain["mean"], 1) + 0.0
            difference = f"{mean:+.1f}{spread} ({len(pair['seeds'])})"
            setting = [pair["loss"], rates[pair["loss"]], _KEPT[pair["share"]]]
            rows.append([*about, *setting, before, *sides, difference])
        twice = {pair["loss"] for pair in result["paired"]}
        for run in (run for run in result["runs"] if run["loss"] not in twice):
            for share, measured in run["shares"].items():
                setting = [run["loss"], rates[run["loss"]], _KEPT[float(share)]]
                rows.append([*about, *setting, before, bold(measured["recall@1"]), "", ""])
    return rows


def mining_conditions(found: Iterable[Found]) -> Rows:
    """Similarity mining under other masks and from another beginning, on validation classes."""
    heads = ["last layers begin from", "slope a", "threshold b", "mAP@R, untouched"]
    heads += ["trained", "with mining", "Recall@1, trained", "with mining"]
    rows = [[*heads, "half hidden, trained", "with mining"]]
    for result in (one for one in found if one.get("protocol") == "mining-conditions"):
        for one in result["rows"]:
            before = percent(one["before"]["map@r"])
            cells = [one["begin"], f"{one['slope']:g}", f"{one['threshold']:g}", before]
            for score in ("map@r", "recall@1"):
                cells += [percent(one[score][side]) for side in ("without", "with")]
            cells += [percent(one["hidden"]["0.5"][side]) for side in ("without", "with")]
            rows.append(cells)
    return rows


def _published(
    tables: dict[str, list[dict[str, Any]]], cell: Callable[[dict[str, Any]], str]
) -> dict[str, list[str]]:
    """Lay the papers' rows of several sets side by side, by model."""
    rows: dict[str, list[str]] = {}
    for place, table in enumerate(tables.values()):
        for row in table:
            cells = rows.setdefault(f"{row['model']} (published)", [""] * len(tables))
            cells[place] = cell(row)
    return rows


def _side_by_side(
    heads: list[str], published: dict[str, list[str]], own: list[tuple[float, str, str]]
) -> Rows:
    """Put what was measured, the best first, above what papers report."""
    blank = [""] * (len(heads) - 2)
    measured = [[name, *blank, cell] for _, name, cell in sorted(own, reverse=True)]
    return [heads, *measured, *([name, *cells, ""] for name, cells in published.items())]
