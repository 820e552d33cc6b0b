from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.data import msrc, voc
from handful.data.hold_outs import VALIDATION, hold_out
from handful.data.segmentation.joining import join
from handful.data.segmentation.photos import SegmentationSet, from_label_maps
from handful.errors import InputError


def small(
    root: Path, name: str, masks: list[list[int]], numbers: dict[str, int]
) -> SegmentationSet:
    pairs = []
    for i, row in enumerate(masks):
        for kind in ("images", "masks"):
            (root / name / kind).mkdir(parents=True, exist_ok=True)
        values = np.array([row], np.uint8)
        Image.fromarray(values).save(root / name / f"masks/{i}.png")
        Image.fromarray(values).save(root / name / f"images/{i}.png")
        pairs.append((root / name / f"images/{i}.png", root / name / f"masks/{i}.png"))
    return from_label_maps(name, root / name, pairs, dict(numbers))


def test_a_joined_set_keeps_every_mask_under_one_name(tmp_path: Path) -> None:
    first = small(tmp_path, "one", [[1, 2, 0, 255], [2, 2, 0, 0]], {"dog": 1, "person": 2})
    second = small(tmp_path, "two", [[4, 5, 6, 255]], {"body": 4, "face": 5, "tree": 6})
    whole = join([first, second], [{}, {"body": "person", "face": "person"}])
    assert whole.labels == ("dog", "person", "tree")
    assert whole.counts() == {"dog": 1, "person": 3, "tree": 1}
    assert whole.photo(2) == tmp_path / "two/images/0.png"
    assert whole.checked_mask(2, 1).tolist() == [[1, 1, 0, 255]]
    assert whole.checked_mask(0, 0).tolist() == [[1, 0, 0, 255]]
    assert whole.checked_mask(0, 2).tolist() == [[0, 0, 0, 0]]  # the first set knows no tree
    part = whole.showing(["tree"]).only(["tree", "person"])
    assert part.paths == ("two/images/0.png",)
    assert part.mask(0, 0).tolist() == [[0, 0, 1, 255]]
    assert part.mask(0, 1).tolist() == [[1, 1, 0, 255]]
    with pytest.raises(InputError, match="give one for each set"):
        join([first, second], [{}])


@pytest.fixture(scope="module")
def real(data_root: Callable[[str], Path]) -> tuple[SegmentationSet, SegmentationSet]:
    photos = voc.read_voc(data_root("VOCdevkit") / "VOC2012", ["train_aug_subset", "val_subset"])
    return photos, msrc.read_msrc(data_root("msrc21"), every=True)


@pytest.mark.data("VOCdevkit")
def test_the_real_hold_outs(real: tuple[SegmentationSet, SegmentationSet]) -> None:
    a, b = hold_out("A", *real), hold_out("B", *real)
    assert (len(a.test), len(a.photos)) == (211, 1005 + 591)
    assert b.test_classes == ("book", "building", "car", "cat", "chair")
    assert len(b.test) == 591 - 340
    assert len(b.photos) == 591 + 340
    for found in (a, b):
        names = {msrc.TWINS.get(label, label) for label in found.test_classes}
        shown = {label for label, count in found.photos.counts().items() if count}
        assert not names & shown
        assert not names & {*found.train_classes, *found.validation_classes}
        assert set(found.validation_classes) <= set(VALIDATION)
        assert not set(VALIDATION) & set(found.train_classes)
        assert not {"void", "mountain", "water"} & set(found.train_classes)
        tested = {found.test.photo(i) for i in range(len(found.test))}
        assert not tested & {found.photos.photo(i) for i in range(len(found.photos))}
    assert {"person", "grass", "dog"} <= set(a.train_classes)


@pytest.mark.data("VOCdevkit")
def test_what_is_bundled_sees_no_photo_of_cow_sheep_or_horse(
    real: tuple[SegmentationSet, SegmentationSet],
) -> None:
    found = hold_out("A", *real, never=("cow", "sheep", "horse"))
    assert len(found.photos) == 1005 + 591 - 83
    counts = found.photos.counts()
    assert [counts[label] for label in ("cow", "sheep", "horse")] == [0, 0, 0]
