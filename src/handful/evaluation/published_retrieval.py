"""What papers report of retrieval and of re-identification, each figure under its data set.

The tables are those of Zheng et al., "Visual similarity attention", IJCAI 2022 (SAM); where
columns of its tables 2 and 3 are shifted in print, the figures stand here under the rows and data
sets they belong to. Figures are shares in [0, 1].
"""

from __future__ import annotations

from typing import Any

_ABLATION = "Zheng et al., Visual similarity attention, IJCAI 2022, table 1"
_RETRIEVAL = "Zheng et al., Visual similarity attention, IJCAI 2022, table 2"
_REID = "Zheng et al., Visual similarity attention, IJCAI 2022, table 3"
_LATER = "strongest figure of a ResNet-50 reported since; not of one paper's table"
_LEARNED = "learned on the training classes of the set"
_WITHDRAWN = "DukeMTMC was withdrawn for privacy: quoted, and not measured here"

# model: recall at 1, 2 and 4 on CUB, in per cent
_TABLE_1 = {
    "Siamese": (65.9, 77.5, 85.8),
    "Siamese + mining (SAM)": (67.7, 77.8, 85.5),
    "triplet": (66.4, 78.1, 85.6),
    "triplet + mining (SAM)": (68.3, 78.9, 86.5),
    "quadruplet": (64.7, 75.6, 85.2),
    "quadruplet + mining (SAM)": (66.4, 77.0, 85.2),
}

# model: CUB recall at 1 and 2, Cars at 1 and 2, SOP at 1 and 1000; None: not reported
_TABLE_2: dict[str, tuple[float | None, ...]] = {
    "lifted structure": (47.2, 58.9, 49.0, 60.3, 62.1, 97.4),
    "N-pair": (51.0, 63.3, 71.1, 79.7, 67.7, 97.8),
    "Proxy-NCA": (49.2, 61.9, 73.2, 82.4, 73.7, None),
    "HDC": (53.6, 65.7, 73.7, 83.2, 69.5, 97.7),
    "BIER": (55.3, 67.2, 78.0, 85.8, 72.7, 98.0),
    "ABE": (58.6, 69.9, 82.7, 88.8, 74.7, 98.0),
    "multi-similarity": (65.7, 77.0, 84.1, 90.4, 78.2, 98.7),
    "HDML": (53.7, 65.7, 79.1, 89.7, 68.7, None),
    "DeML": (65.4, 75.3, 86.3, 91.2, 76.1, 98.1),
    "group loss": (66.9, 77.1, 88.0, 92.5, 76.3, None),
    "multi-similarity + SFT": (66.8, 77.5, 84.5, 90.6, 73.4, None),
    "DRO-KLM": (67.7, 78.0, 86.4, 91.9, None, None),
    "SAM": (68.3, 78.9, 86.3, 91.4, 77.9, 98.8),
}
_COLUMNS_2 = {"cub": (1, 2), "cars": (1, 2), "sop": (1, 1000)}

_BEST_SINCE = {"cub": 73.4, "cars": 92.7, "sop": 82.9}

# model: CUHK03-NP rank 1 and mAP, DukeMTMC-reID rank 1 and mAP
_TABLE_3: dict[str, tuple[float | None, ...]] = {
    "SVDNet": (41.5, 37.3, 76.7, 56.8),
    "HA-CNN": (41.7, 38.6, 80.5, 63.8),
    "DuATM": (None, None, 81.8, 64.6),
    "PCB + RPP": (63.7, 57.5, 83.3, 69.2),
    "MGN": (66.8, 66.0, 88.7, 78.4),
    "CASN (PCB)": (71.5, 64.4, 87.7, 73.7),
    "PCB + mining (SAM)": (74.5, 67.5, 88.5, 75.8),
}
_COLUMNS_3 = {"cuhk03": 0, "duke": 2}


def retrieval_rows(dataset: str) -> list[dict[str, Any]]:
    """Return the published rows of one retrieval set, as JSON objects, the worst first.

    Parameters
    ----------
    dataset : str
        ``cub``, ``cars`` or ``sop``; of any other there are no rows.

    Examples
    --------
    >>> best = retrieval_rows("cub")[-1]
    >>> best["model"], best["recall@1"]
    ('best ResNet-50 since', 0.734)
    >>> {row["recall@1000"] for row in retrieval_rows("sop") if row["model"] == "SAM"}
    {0.988}
    """
    rows = []
    if dataset in _COLUMNS_2:
        place = 2 * list(_COLUMNS_2).index(dataset)
        for model, figures in _TABLE_2.items():
            pair = zip(_COLUMNS_2[dataset], figures[place : place + 2], strict=True)
            recall = {f"recall@{k}": _share(value) for k, value in pair if value is not None}
            rows.append(_row(model, "retrieval", dataset, _RETRIEVAL, _LEARNED, recall))
        best = {"recall@1": _share(_BEST_SINCE[dataset])}
        rows.append(_row("best ResNet-50 since", "retrieval", dataset, _LATER, _LEARNED, best))
    if dataset == "cub":
        for model, figures in _TABLE_1.items():
            recall = {f"recall@{k}": _share(x) for k, x in zip((1, 2, 4), figures, strict=True)}
            rows.append(_row(model, "retrieval", dataset, _ABLATION, _LEARNED, recall))
    measured = [row for row in rows if "recall@1" in row]
    return sorted(measured, key=lambda row: float(row["recall@1"]))


def reid_rows(dataset: str) -> list[dict[str, Any]]:
    """Return the published rows of one re-identification set, as JSON objects, the worst first.

    Parameters
    ----------
    dataset : str
        ``cuhk03`` (CUHK03-NP, 767 identities to train and 700 to test) or ``duke``; of any other
        there are no rows.

    Examples
    --------
    >>> [(row["cmc@1"], row["map"]) for row in reid_rows("cuhk03")][-1]
    (0.745, 0.675)
    >>> reid_rows("market")
    []
    """
    if dataset not in _COLUMNS_3:
        return []
    place, note = _COLUMNS_3[dataset], _WITHDRAWN if dataset == "duke" else _LEARNED
    rows = []
    for model, figures in _TABLE_3.items():
        first, average = figures[place : place + 2]
        if first is not None and average is not None:
            values = {"cmc@1": _share(first), "map": _share(average)}
            rows.append(_row(model, "reid", dataset, _REID, note, values))
    return sorted(rows, key=lambda row: float(row["cmc@1"]))


def _row(
    model: str, protocol: str, dataset: str, source: str, note: str, values: dict[str, float]
) -> dict[str, Any]:
    return {
        "model": model,
        "protocol": protocol,
        "dataset": dataset,
        **values,
        "source": source,
        "note": note,
    }


def _share(percent: float) -> float:
    return round(percent / 100, 4)
