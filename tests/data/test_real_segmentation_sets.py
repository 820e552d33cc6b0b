"""The real MSRC and VOC photos, where they are unpacked: the counts that hold-outs rest on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from handful.data import msrc, voc


@pytest.mark.data("msrc21")
def test_the_real_msrc_has_the_folds_and_what_is_left_for_hold_out_b(
    data_root: Callable[[str], Path],
) -> None:
    found = msrc.read_msrc(data_root("msrc21"))
    assert len(found) == 591
    assert len(found.labels) == 20
    held = msrc.fold_classes(found, 1)
    assert held == ("book", "building", "car", "cat", "chair")
    assert len(found.without(held)) == 340
    assert [msrc.TWINS[name] for name in held if name in msrc.TWINS] == ["car", "cat", "chair"]
    assert set(msrc.TWINS) <= set(found.labels)
    assert set(msrc.TWINS.values()) <= set(voc.CLASSES)


@pytest.mark.data("VOCdevkit")
def test_the_real_voc_subset_has_the_photos_of_hold_outs_a_and_b(
    data_root: Callable[[str], Path],
) -> None:
    root = data_root("VOCdevkit") / "VOC2012"
    found = voc.read_voc(root, ["train_aug_subset", "val_subset"])
    assert len(found) == 1216
    held = ["sofa", "potted plant", "tv/monitor", "dining table"]
    assert len(found.showing(held)) == 211
    assert len(found.without(held)) == 1005
    assert len(found.without(["car", "cat", "chair"])) == 591
    counts = found.counts()
    assert [counts[name] for name in ("horse", "sheep", "cow")] == [0, 0, 0]


@pytest.mark.data("VOCdevkit")
def test_the_small_object_rule_decides_real_masks_as_the_published_list_does(
    data_root: Callable[[str], Path],
) -> None:
    root = data_root("VOCdevkit") / "VOC2012"
    found = voc.read_voc(root, ["val_subset"], small_object_rule=True)
    # close calls, as the published list of fold 1 has them
    published = {
        ("2007_002268", "cat"): True,
        ("2007_003106", "cat"): True,
        ("2007_008110", "cat"): False,
        ("2008_000853", "cat"): True,
        ("2009_000488", "cat"): False,
        ("2010_001149", "cat"): False,
        ("2010_002512", "chair"): False,
        ("2010_003746", "car"): True,
        ("2011_001276", "chair"): False,
        ("2011_002298", "chair"): True,
    }
    for (name, label), counted in published.items():
        row = found.paths.index(f"JPEGImages/{name}.jpg")
        (column,) = found.find([label])
        assert found.present[row, column]
        assert found.eligible[row, column] == counted, name
