from __future__ import annotations

import pytest

from handful.evaluation.published_segmentation import segmentation_rows


@pytest.mark.parametrize("dataset", ["pascal5i", "coco20i"])
@pytest.mark.parametrize("shots", [1, 5])
def test_means_are_those_of_the_folds(dataset: str, shots: int) -> None:
    """A misprint in the folds or in the mean would show: the papers round to a tenth."""
    folds = [segmentation_rows(dataset, shots, fold) for fold in range(4)]
    for rows in zip(*folds, strict=True):
        if rows[0]["fold_miou"] is None:
            continue
        mean = sum(row["fold_miou"] for row in rows) / 4
        # CyCTR and PPNet round another way, by up to .05 points more
        assert rows[0]["miou"] == pytest.approx(mean, abs=0.0016), rows[0]["model"]


def test_rows_that_everyone_quotes() -> None:
    found = {(r["model"], r["backbone"]): r for r in segmentation_rows("pascal5i", 5)}
    assert found["MSHNet", "ResNet-101"]["miou"] == 0.723
    assert found["MSHNet", "ResNet-50"]["fb_iou"] == 0.81
    assert found["OSLSM", "VGG-16"]["miou"] == 0.439
    assert segmentation_rows("coco20i", 1)[0]["model"] == "GF-SAM"
    assert segmentation_rows("pascal5i", 3) == []
    assert segmentation_rows("msrc", 1) == []


def test_rows_without_masks_stand_beside_those_with() -> None:
    """Tables 4 and 5 of the paper on similarity attention."""
    one = {row["model"]: row for row in segmentation_rows("pascal5i", 1, fold=2)}
    assert (one["SAM"]["miou"], one["SAM"]["fold_miou"]) == (0.416, 0.444)
    assert (one["OSLSM"]["miou"], one["OSLSM"]["fold_miou"]) == (0.408, 0.409)
    two = [
        {row["model"]: row["miou"] for row in segmentation_rows("pascal5i", shots, ways=2)}
        for shots in (1, 5)
    ]
    assert [found["SAM"] - found["PL+SEG+PT"] for found in two] == pytest.approx([0.142, 0.164])
    assert [next(iter(found)) for found in two] == ["SAM", "SAM"]
    assert segmentation_rows("coco20i", 1, ways=2) == []
