"""The conditioning effect, against masks compared one pixel at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from handful.data.segmentation.folder import read_folder
from handful.data.segmentation.photos import SegmentationSet
from handful.errors import InputError
from handful.evaluation.protocols.conditioning import measure
from handful.evaluation.segmenting import View
from handful.methods.baselines.blind_segmentation import BlindSegmentation
from handful.methods.segmenter import Answer, Features, Mask
from handful.metrics.accuracy import wilson_interval

CLASSES = ["red", "green", "blue"]


class ByColour:
    """Find pixels of the example's colour; of green ones it never finds any but the red."""

    name, backbone, threshold = "by-colour", "none", 0.5

    def __init__(self, confused: bool = False) -> None:
        self.confused = confused

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Features]:
        return [{"rgb": torch.from_numpy(i.transpose(2, 0, 1).astype(np.float32))} for i in images]

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> int:
        mean = sum(
            f["rgb"][:, torch.from_numpy(m == 1)].mean(1)
            for f, m in zip(features, masks, strict=True)
        )
        assert isinstance(mean, torch.Tensor)
        found = int(mean.argmax())
        return 0 if self.confused and found == 1 else found

    def answer(self, query: Features, states: Sequence[int]) -> Answer:
        assert len(states) == 1  # no support knows of the other
        rgb = query["rgb"]
        masks = ((rgb.argmax(0) == states[0]) & (rgb.amax(0) > 128)).float()[None]
        return Answer(masks, torch.ones(1))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> SegmentationSet:
    """One, two or three squares of pure colours on black."""
    root = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for i in range(30):
        values = np.zeros((64, 64), np.uint8)
        for place, value in enumerate(rng.permutation(3)[: 1 + i % 3]):
            side = int(rng.integers(18, 28))
            top, left = 32 * (place // 2), 32 * (place % 2)
            values[top : top + side, left : left + side] = value + 1
        pixels = np.zeros((64, 64, 3), np.uint8)
        for value in range(3):
            pixels[values == value + 1, value] = 255
        Image.fromarray(values).save(root / f"masks/{i:02d}.png")
        Image.fromarray(pixels).save(root / f"images/{i:02d}.png")
    return read_folder(root, CLASSES)


def test_who_looks_is_right_and_who_does_not_is_never(photos: SegmentationSet) -> None:
    seeing = measure(ByColour(), photos, CLASSES, view=View(64, 64))
    metrics = seeing.metrics
    assert metrics["share"] == metrics["mask_swap"]["share"] == 1
    assert (metrics["own_iou"], metrics["other_iou"]) == (1, 0)
    assert seeing.n == metrics["photos"] == 20
    assert metrics["cases"] == 10 + 3 * 10  # three objects are three pairs
    assert metrics["with_seen"]["share"] is None
    for guess in ("whole", "centre"):
        blind = measure(BlindSegmentation(guess), photos, CLASSES, view=View(64, 64))
        assert blind.metrics["share"] == blind.metrics["mask_swap"]["share"] == 0


def test_shares_are_those_of_a_twin_that_counts(photos: SegmentationSet) -> None:
    result = measure(ByColour(confused=True), photos, CLASSES, view=View(64, 64), draws=2)
    # red stands for green: right on red + blue alone, and by chance nowhere else
    seen: dict[str, list[float]] = {}
    for row in result.rows:
        if row["swap"] == "photo":
            seen.setdefault(row["query"], []).append(row["right"])
            stem = Path(row["query"]).name
            values = np.asarray(Image.open(photos.root / "masks" / stem))
            iou = {}
            for side in ("first", "second"):
                wanted = {"red": 1, "green": 1, "blue": 3}[row[side]]
                for other in ("first", "second"):
                    true = CLASSES.index(row[other]) + 1
                    both = sum(1 for v in values.ravel() if v == wanted and v == true)
                    either = sum(1 for v in values.ravel() if v in (wanted, true))
                    iou[side, other] = both / either
                    assert row[f"{side}_on_{other}"] == pytest.approx(both / either, abs=1e-6)
            right = (
                iou["first", "first"] > iou["first", "second"]
                and iou["second", "second"] > iou["second", "first"]
            )
            assert row["right"] == right
    share = float(np.mean([np.mean(each) for each in seen.values()]))
    metrics = result.metrics
    assert metrics["share"] == pytest.approx(share)
    assert 0 < share < 1
    assert metrics["interval"] == pytest.approx(wilson_interval(share * 20, 20))
    assert metrics["per_pair"]["red + blue"]["share"] == 1
    assert metrics["per_pair"]["red + green"]["share"] == 0
    assert metrics["per_pair"]["red + green"]["right"] == {"red": 1, "green": 0}


def test_pairs_with_a_seen_class_are_counted_apart(photos: SegmentationSet) -> None:
    result = measure(ByColour(confused=True), photos, ["red", "blue"], ["green"], View(64, 64))
    assert set(result.metrics["per_pair"]) == {"red + blue"}
    assert result.metrics["share"] == 1
    apart = result.metrics["with_seen"]
    assert set(apart["per_pair"]) == {"red + green", "green + blue"}
    assert apart["share"] < 0.5
    assert result.settings["seen_classes"] == ["green"]
    with pytest.raises(InputError, match="no photo shows two of red"):
        measure(ByColour(), photos, ["red"], ["green"], View(64, 64))
