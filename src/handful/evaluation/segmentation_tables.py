"""Tables of few-shot segmentation, for `handful.evaluation.tables`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from handful.evaluation.similarity_tables import bold

Found = dict[str, Any]
Rows = list[list[str]]

_SETS = {"voc": "PASCAL VOC 2012", "msrc": "MSRC", "validation": "VOC and MSRC"}


def segmentation(found: Iterable[Found]) -> Rows:
    """Overlap on classes that were not learned: mIoU by shots, and telling absent classes apart."""
    rows: dict[tuple[str, str, str, int], dict[str, Found]] = {}
    for result in found:
        if result.get("protocol") == "segmentation" and result["ways"] == 1:
            key = (_set(result), result["model"], result["backbone"], result["size"])
            rows.setdefault(key, {})[str(result["shots"])] = result
    shots = sorted({int(s) for of_model in rows.values() for s in of_model})
    head = ["classes", "model", "backbone", *(f"{s}-shot mIoU" for s in shots), "absent, AUROC"]
    table = [[*head, "episodes"]]
    for key, by_shots in sorted(rows.items(), key=_best_first):
        means = [_miou(by_shots.get(str(s))) for s in shots]
        first = by_shots[min(by_shots, key=int)]
        presence = first["metrics"].get("presence")
        apart = "" if presence is None else f"{presence['auroc']:.3f}"
        table.append([key[0], f"`{key[1]}`", key[2], *means, apart, str(first["n"])])
    return table


def _set(result: Found) -> str:
    classes = ", ".join(result["classes"])
    name = _SETS.get(result["dataset"], result["dataset"])
    return f"{name}, {result['photos']} photos: {classes}"


def _best_first(row: tuple[tuple[str, str, str, int], dict[str, Found]]) -> tuple[Any, ...]:
    key, by_shots = row
    return key[0], -by_shots[min(by_shots, key=int)]["metrics"]["miou"], key[1]


def _miou(result: Found | None) -> str:
    if result is None:
        return ""
    return bold(result["metrics"]["miou"], result["metrics"]["interval"])
