"""The table of few-shot segmentation says what the results say."""

from __future__ import annotations

from typing import Any

from handful.evaluation.segmentation_tables import (
    conditioning,
    few_masks,
    segmentation,
    segmentation_classes,
    segmentation_differences,
    segmentation_training,
    stages,
    weight_hashing,
    without_masks,
)


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


def test_few_masks_stand_by_kind_and_number_of_examples() -> None:
    def row(model: str, shots: int, iou: float, error: float | None) -> dict[str, Any]:
        about = {"kind": "nuclei", "model": model, "shots": shots}
        return about | {"iou": iou, "count_error": error}

    rows = [row("auto", 1, 0.5, 0.25), row("auto", 10, 0.75, 0.1), row("slow", 1, 0.4, None)]
    head, *table = few_masks([{"protocol": "few-masks", "rows": rows}, result("other", 1, 0.1)])
    assert head[2:] == ["IoU, 1 example", "IoU, 10 examples", "error of the count"]
    assert table == [
        ["nuclei", "`auto`", "**50.0**", "**75.0**", "25 %, 10 %"],
        ["nuclei", "`slow`", "**40.0**", "", ""],
    ]


def test_classes_stand_where_every_model_has_them() -> None:
    def one(model: str, **per_class: float) -> dict[str, Any]:
        about = {"dataset": "msrc", "backbone": "torchvision:resnet50"}
        return result(model, 1, 0.3, per_class=per_class) | about

    found = [one("prototypes:resnet50", car=0.5, book=0.9), one("discriminant:resnet50", car=0.3)]
    found += [one("mshnet", car=0.75, book=0.1), one("mshnet", cat=0.3)]
    found += [result("small", 1, 0.3, per_class={"car": 0.2})]
    assert segmentation_classes(found) == [
        ["classes", "class", "`mshnet`", "`prototypes:resnet50`"],
        ["MSRC", "book", "**10.0**", "**90.0**"],
        ["MSRC", "car", "**75.0**", "**50.0**"],
    ]


def test_methods_without_masks_stand_by_ways_the_best_first() -> None:
    more = [{"against": "centre-grabcut", "miou": 0.02, "interval": [-0.01, 0.05]}]
    found = [
        result("centre-grabcut", 1, 0.39),
        result("attention-score:resnet50", 1, 0.41, differences=more),
        result("attention-score:resnet50", 5, 0.5) | {"ways": 2},
        result("attention-score:resnet50", 5, 0.9),
        result("mshnet", 1, 0.8),
    ]
    head, *rows = without_masks(found)
    assert head[2:5] == ["1-way 1-shot", "2-way 1-shot", "2-way 5-shot"]
    assert [row[1] for row in rows] == ["`attention-score:resnet50`", "`centre-grabcut`"]
    assert rows[0][2:] == ["**41.0** (40.0-42.0)", "", "**50.0** (49.0-51.0)", ""]
    assert rows[1][2:] == ["**39.0** (38.0-40.0)", "", "", "+2.0 (-1.0 to 5.0)"]


def test_conditioning_sets_pairs_with_learned_classes_apart() -> None:
    def one(model: str, share: float | None, interval: list[float] | None) -> dict[str, Any]:
        part = {"share": share, "photos": 40 if share else 0, "interval": interval}
        swap = part | {"with_seen": part}
        metrics = part | {"mask_swap": swap, "with_seen": part}
        about = {"protocol": "conditioning", "dataset": "msrc", "shots": 1, "draws": 3}
        return about | {"model": model, "metrics": metrics}

    best = one("best", 0.9, [0.8, 0.95]) | {"shots": 5}
    _, *rows = conditioning([best, one("worse", None, None), one("better", 0.725, [0.6, 0.8])])
    assert rows[0][:6] == ["MSRC", "`better`", "1", "3", "**72.5** (60.0-80.0)", "40"]
    assert rows[0][6:] == ["72.5", "72.5", "40"]
    assert rows[1] == ["MSRC", "`worse`", "1", "3", "", "0", "", "", "0"]
    assert rows[2][:3] == ["MSRC", "`best`", "5"]


def test_stages_stand_dense_and_as_they_are_run() -> None:
    both = {"dense": {"ms": 1000.0, "gmac": 135.2}, "ours": {"ms": 400.0, "gmac": 46.25}}
    found = {"protocol": "mshnet-stages", "stages": {"query": both, "classes": {"ours": {}}}}
    assert stages([found])[1:] == [["query", "1000", "135.2", "400", "46.2", "2.5"]]


def test_hashed_weights_stand_beside_learned_ones() -> None:
    def spread(share: float) -> dict[str, Any]:
        return {"unseen": {"variance": 9.0, "of_mean_square": share, "within_classes": 0.5}}

    def arm(seen: float, lost: float) -> dict[str, Any]:
        parts = {"seen": seen, "unseen": seen - lost}
        overlaps = {p: {"miou": m, "interval": [m - 0.125, m + 0.125]} for p, m in parts.items()}
        variances = {"variance_before": spread(0.25), "variance_after": spread(0.125)}
        return overlaps | variances | {"lost": lost}

    value = {"protocol": "weight-hashing", "parameters": {"hashed": 0, "learned": 4101097}}
    _, *rows = weight_hashing([value | {"hashed": arm(0.5, 0.125), "learned": arm(0.625, 0.25)}])
    assert rows[0][:3] == ["hashed", "0", "**50.0** (37.5-62.5)"]
    assert rows[1][1:5] == ["4,101,097", "**62.5** (50.0-75.0)", "**37.5** (25.0-50.0)", "25.0"]
    assert rows[0][5:] == ["0.250", "0.125", "0.500"]


def test_differences_stand_by_rival_and_shots() -> None:
    one = result("mshnet+clusters", 1, 0.5)
    one["metrics"]["differences"] = [{"against": "whole", "miou": 0.012, "interval": [-0.01, 0.03]}]
    five = result("mshnet+clusters", 5, 0.6)
    five["metrics"]["differences"] = [{"against": "whole", "miou": 0.1, "interval": [0.09, 0.12]}]
    other = result("oslsm", 1, 0.4)
    other["metrics"]["differences"] = one["metrics"]["differences"]
    head, row = segmentation_differences([one, five, other])
    assert head[1:] == ["model", "against", "1-shot", "5-shot"]
    assert row[1:3] == ["`mshnet+clusters`", "`whole`"]
    assert row[3:] == ["+1.2 (-1.0 to 3.0)", "+10.0 (9.0 to 12.0)"]


def test_trainings_stand_by_hold_out_and_recipe() -> None:
    def run(model: str, miou: float, **options: object) -> dict[str, Any]:
        return {
            "protocol": "training",
            "model": model,
            "images": 6400,
            "seconds": 4640.6,
            "metrics": {"miou": miou},
            "options": options,
        }

    found = [
        run("mshnet", 0.4585, data="B", close_ups=True),
        run("oslsm", 0.4494, data="A"),
        run("mshnet", 0.3875, data="A", similarity="prototype"),
        run("koch", 0.5, data="A") | {"metrics": {"one_shot": 0.9}},
    ]
    assert segmentation_training(found)[1:] == [
        ["A", "`mshnet`", "prototype", "no", "6,400", "77", "38.8"],
        ["A", "`oslsm`", "", "no", "6,400", "77", "44.9"],
        ["B", "`mshnet`", "both", "yes", "6,400", "77", "45.9"],
    ]
