"""The table of few-shot segmentation says what the results say."""

from __future__ import annotations

from typing import Any

from handful.evaluation.segmentation_tables import segmentation


def result(model: str, shots: int, miou: float, **metrics: Any) -> dict[str, Any]:
    return {
        "protocol": "segmentation",
        "dataset": "voc",
        "classes": ["sofa", "tvmonitor"],
        "model": model,
        "backbone": "resnet50",
        "n": 300,
        "photos": 77,
        "ways": 1,
        "shots": shots,
        "size": 241,
        "metrics": {"miou": miou, "interval": [miou - 0.01, miou + 0.01], **metrics},
    }


def test_rows_are_methods_the_best_first_and_columns_shots() -> None:
    found = [
        result("prototypes", 1, 0.2),
        result("mshnet", 5, 0.5),
        result("mshnet", 1, 0.4, presence={"auroc": 0.8765}),
        {"protocol": "retrieval"},
        result("two", 1, 0.9) | {"ways": 2},
    ]
    head, *rows = segmentation(found)
    assert head[3:] == ["1-shot mIoU", "5-shot mIoU", "absent, AUROC", "episodes"]
    assert [row[1] for row in rows] == ["`mshnet`", "`prototypes`"]
    assert rows[0][0] == "PASCAL VOC 2012, 77 photos: sofa, tvmonitor"
    assert rows[0][3:] == ["**40.0** (39.0-41.0)", "**50.0** (49.0-51.0)", "0.876", "300"]
    assert rows[1][3:] == ["**20.0** (19.0-21.0)", "", "", "300"]
