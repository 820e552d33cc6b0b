"""What the papers report of few-shot segmentation: PASCAL-5i and COCO-20i."""

from __future__ import annotations

from typing import Any, NamedTuple

_MSHNET = "Shi et al., Multi-similarity based hyperrelation network, 2022"
_OSLSM = "Shaban et al., One-shot learning for semantic segmentation, BMVC 2017"
_GF_SAM = "Zhang et al., Bridge the points, NeurIPS 2024"
_INSID3 = "INSID3, 2026"
_SAM = "Zheng et al., Visual similarity attention, IJCAI 2022"
_FREE = "nothing is trained on masks"
_NO_MASK = "never trained on Pascal; no mask of the support is looked at"


class _Row(NamedTuple):
    """One system: mIoU in percent of folds 0 to 3 and their mean, by shots; FB-IoU where known."""

    model: str
    backbone: str
    one: tuple[float, ...] = ()
    five: tuple[float, ...] = ()
    fb: tuple[float | None, float | None] = (None, None)
    source: str = _MSHNET
    note: str = ""


_QUOTED = f"as quoted by {_MSHNET}"
_BASELINE = "a baseline of OSLSM's paper"
_QUOTED_SAM = f"as quoted by {_SAM}"

_PASCAL = (
    _Row("GF-SAM", "DINOv2, SAM", (72.1,), (82.6,), source=_GF_SAM, note=_FREE),
    _Row(
        "MSHNet",
        "ResNet-101",
        (68.6, 73.1, 61.3, 63.9, 66.7),
        (73.0, 76.3, 68.1, 71.9, 72.3),
        (77.7, 82.7),
    ),
    _Row(
        "HSNet",
        "ResNet-101",
        (67.3, 72.3, 62.0, 63.1, 66.2),
        (71.8, 74.4, 67.0, 68.3, 70.4),
        (77.6, 80.6),
        note=_QUOTED,
    ),
    _Row(
        "MSHNet",
        "ResNet-50",
        (67.7, 71.8, 59.9, 62.4, 65.5),
        (71.3, 74.1, 65.7, 68.5, 69.9),
        (77.8, 81.0),
    ),
    _Row(
        "MSHNet, cosine only",
        "ResNet-101",
        (66.7, 70.2, 61.9, 60.0, 64.7),
        (72.8, 74.9, 67.5, 69.0, 71.1),
    ),
    _Row(
        "CyCTR",
        "ResNet-101",
        (69.3, 72.7, 56.5, 58.6, 64.3),
        (73.5, 74.0, 58.6, 60.2, 66.6),
        (72.9, 75.0),
        note=_QUOTED,
    ),
    _Row(
        "CyCTR",
        "ResNet-50",
        (67.8, 72.8, 58.0, 58.0, 64.2),
        (71.1, 73.2, 60.5, 57.5, 65.6),
        note=_QUOTED,
    ),
    _Row(
        "HSNet",
        "ResNet-50",
        (64.3, 70.7, 60.3, 60.5, 64.0),
        (70.3, 73.2, 67.4, 67.1, 69.5),
        (76.7, 80.6),
        note=_QUOTED,
    ),
    _Row(
        "MSHNet, prototype only",
        "ResNet-101",
        (63.4, 70.3, 58.3, 54.6, 61.7),
        (66.2, 71.3, 57.7, 57.2, 63.1),
    ),
    _Row(
        "MSHNet, cosine only",
        "ResNet-50",
        (63.3, 66.0, 59.5, 55.4, 61.1),
        (68.0, 71.1, 62.8, 63.6, 66.4),
    ),
    _Row(
        "PFENet",
        "ResNet-50",
        (61.7, 69.5, 55.4, 56.3, 60.8),
        (63.1, 70.7, 55.8, 57.9, 61.9),
        (73.3, 73.9),
        note=_QUOTED,
    ),
    _Row(
        "PFENet",
        "ResNet-101",
        (60.5, 69.4, 54.4, 55.9, 60.1),
        (62.8, 70.4, 54.9, 57.6, 61.4),
        (72.9, 77.5),
        note=_QUOTED,
    ),
    _Row(
        "MSHNet, prototype only",
        "ResNet-50",
        (61.6, 69.2, 56.5, 50.5, 59.5),
        (64.3, 70.6, 57.4, 53.4, 61.4),
    ),
    _Row(
        "ASGNet",
        "ResNet-101",
        (59.8, 67.4, 55.6, 54.4, 59.3),
        (64.6, 71.3, 64.2, 57.3, 64.4),
        (71.7, 75.2),
        note=_QUOTED,
    ),
    _Row(
        "FWB",
        "ResNet-101",
        (51.3, 64.5, 56.7, 52.2, 56.2),
        (54.8, 67.4, 62.2, 55.3, 59.9),
        note=_QUOTED,
    ),
    _Row(
        "PANet",
        "ResNet-50",
        (44.0, 57.5, 50.8, 44.0, 49.1),
        (55.3, 67.2, 61.3, 53.2, 59.3),
        note=_QUOTED,
    ),
    _Row("SAM", "ResNet-50", (37.9, 50.3, 44.4, 33.8, 41.6), source=_SAM, note=_NO_MASK),
    _Row("co-FCN", "VGG-16", (36.7, 50.6, 44.9, 32.4, 41.1), source=_SAM, note=_QUOTED_SAM),
    _Row("OSLSM", "VGG-16", (33.6, 55.3, 40.9, 33.5, 40.8), (43.9,), source=_OSLSM),
    _Row("PAN-init", "VGG-16", (30.8, 40.7, 38.3, 31.4, 35.3), source=_SAM, note=_QUOTED_SAM),
    _Row("OSVOS", "VGG-16", (24.9, 38.8, 36.5, 30.1, 32.6), source=_SAM, note=_QUOTED_SAM),
    _Row("1-NN", "VGG-16", (32.6,), source=_OSLSM, note=_BASELINE),
    _Row("fine-tuning", "VGG-16", (32.6,), source=_OSLSM, note=_BASELINE),
    _Row("logistic regression", "VGG-16", (31.4,), source=_OSLSM, note=_BASELINE),
    _Row("Siamese", "VGG-16", (31.4,), source=_OSLSM, note=_BASELINE),
    _Row("co-segmentation", "VGG-16", (), (27.1,), source=_OSLSM, note=_BASELINE),
)

_COCO = (
    _Row("GF-SAM", "DINOv2, SAM", (58.7,), (66.8,), source=_GF_SAM, note=_FREE),
    _Row("INSID3", "self-supervised", (57.6,), source=_INSID3, note=_FREE),
    _Row(
        "MSHNet",
        "ResNet-101",
        (41.3, 49.9, 46.4, 46.6, 46.1),
        (51.7, 62.6, 55.9, 53.8, 56.0),
    ),
    _Row(
        "MSHNet",
        "ResNet-50",
        (39.6, 48.3, 45.5, 42.8, 44.1),
        (49.2, 62.5, 55.6, 52.0, 54.8),
    ),
    _Row(
        "HSNet",
        "ResNet-101",
        (37.2, 44.1, 42.4, 41.3, 41.2),
        (45.9, 53.0, 51.8, 47.1, 49.5),
        note=_QUOTED,
    ),
    _Row(
        "CyCTR",
        "ResNet-50",
        (38.9, 43.0, 39.6, 39.8, 40.3),
        (41.1, 48.9, 45.2, 47.0, 45.6),
        note=_QUOTED,
    ),
    _Row(
        "HSNet",
        "ResNet-50",
        (36.3, 43.1, 38.7, 38.7, 39.2),
        (43.3, 51.3, 48.2, 45.0, 46.9),
        note=_QUOTED,
    ),
    _Row(
        "PFENet",
        "ResNet-101",
        (36.8, 41.8, 38.7, 36.7, 38.5),
        (40.4, 46.8, 43.2, 40.5, 42.7),
        note=_QUOTED,
    ),
    _Row(
        "RPMM",
        "ResNet-50",
        (29.5, 36.8, 29.0, 27.0, 30.6),
        (33.8, 42.0, 33.0, 33.3, 35.5),
        note=_QUOTED,
    ),
    _Row(
        "PPNet",
        "ResNet-50",
        (28.1, 30.8, 29.5, 27.7, 29.0),
        (39.0, 40.8, 37.1, 37.3, 38.5),
        note=_QUOTED,
    ),
    _Row(
        "FWB",
        "ResNet-101",
        (17.0, 18.0, 21.0, 28.9, 21.2),
        (19.1, 21.5, 23.9, 30.1, 23.7),
        note=_QUOTED,
    ),
)

_PASCAL_TWO_WAY = (
    _Row("SAM", "ResNet-50", (56.9,), (60.1,), source=_SAM, note=_NO_MASK),
    _Row("PL+SEG+PT", "VGG-16", (42.7,), (43.7,), source=_SAM, note=_QUOTED_SAM),
    _Row("PL+SEG", "VGG-16", (41.9,), (42.6,), source=_SAM, note=_QUOTED_SAM),
    _Row("PL", "VGG-16", (39.7,), (40.3,), source=_SAM, note=_QUOTED_SAM),
)

_TABLES = {
    ("pascal5i", 1): _PASCAL,
    ("pascal5i", 2): _PASCAL_TWO_WAY,
    ("coco20i", 1): _COCO,
}


def segmentation_rows(
    dataset: str, shots: int, fold: int | None = None, ways: int = 1
) -> list[dict[str, Any]]:
    """Return the published rows of one set, as JSON objects, the best mean first.

    Parameters
    ----------
    dataset : str
        Such as ``pascal5i``; a set without published rows has none.
    shots : int
        1 or 5; other shots have no rows.
    fold : int, optional
        The fold whose mIoU is wanted beside the mean of the folds (``fold_miou``; None where
        the paper gives the mean alone).
    ways : int
        1 or 2, the classes that are asked for at once; others have no rows.

    Returns
    -------
    list of dict
        With shares in [0, 1].

    Examples
    --------
    >>> rows = segmentation_rows("pascal5i", shots=1, fold=3)
    >>> [row["fold_miou"] for row in rows if row["model"] == "MSHNet"]
    [0.639, 0.624]
    """
    found = []
    for row in _TABLES.get((dataset, ways), ()):
        figures = {1: row.one, 5: row.five}.get(shots, ())
        if not figures:
            continue
        whole = len(figures) > 1 and fold is not None
        fb = row.fb[0 if shots == 1 else 1]
        found.append(
            {
                "model": row.model,
                "backbone": row.backbone,
                "ways": ways,
                "shots": shots,
                "miou": _share(figures[-1]),
                "fold_miou": _share(figures[fold]) if whole and fold is not None else None,
                "fb_iou": None if fb is None else _share(fb),
                "source": row.source,
                "note": row.note,
                "protocol": dataset,
            }
        )
    return sorted(found, key=lambda row: -float(row["miou"]))


def _share(percent: float) -> float:
    return round(percent / 100, 4)
