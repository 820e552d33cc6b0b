"""Which of two methods has learned a support better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from handful.answers import MaskCheck
from handful.data.annotations import OBJECT
from handful.methods.masks.learning import Learned, finds_better, learn, objects_zoom
from handful.methods.masks.support import Example
from handful.methods.masks.zoom import SIDE
from handful.methods.segmenter import Answer, Features, Image, Mask


class Brightness:
    """Finds what is brighter than the middle of object and ground, or than a fixed tone."""

    name, backbone, threshold = "brightness", "none", 0.5

    def __init__(self, tone: float | None = None) -> None:
        self.tone = tone
        if tone is not None:
            self.side = 99

    def encode(self, images: Sequence[Image]) -> list[Features]:
        return [{"grey": torch.from_numpy(image[..., 0].astype(np.float32))} for image in images]

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> float:
        if self.tone is not None:
            return self.tone
        grey = np.concatenate([found["grey"].numpy().ravel() for found in features])
        pairs = zip(features, masks, strict=True)
        shown = np.concatenate([_like(found, mask).ravel() for found, mask in pairs])
        return float((grey[shown == 1].mean() + grey[shown == 0].mean()) / 2)

    def answer(self, query: Features, states: Sequence[float]) -> Answer:
        masks = torch.stack([(query["grey"] > tone).float() for tone in states])
        return Answer(masks, torch.ones(len(states)))


def _like(features: Features, mask: Mask) -> Mask:
    height, width = features["grey"].shape
    rows = np.arange(height) * mask.shape[0] // height
    columns = np.arange(width) * mask.shape[1] // width
    return np.asarray(mask[rows][:, columns])


def example(tone: int) -> Example:
    photo = np.full((60, 80, 3), 40, np.uint8)
    photo[10:50, 20:60] = tone
    return Example(photo, {OBJECT: (photo[..., 0] == tone).astype(np.uint8)})


def learned(tone: float | None, *tones: int) -> Learned:
    examples = [example(value) for value in tones]
    return learn(Brightness(tone), [OBJECT], examples, objects_zoom([OBJECT], examples))


def test_a_lone_example_must_be_found_by_far_better() -> None:
    fits, blind = learned(None, 200), learned(250, 200)
    assert fits.check is None
    assert finds_better(fits, blind)
    assert not finds_better(blind, fits)
    assert not finds_better(fits, learned(120, 200))


def test_examples_left_out_decide_where_there_are_several() -> None:
    fits, fixed = learned(None, 250, 140), learned(100, 250, 140)
    assert fits.check is not None
    # learned from the brighter one alone, the middle is 145: the other is missed
    assert fits.check.iou < 0.6
    assert fixed.check is not None
    assert fixed.check.iou > 0.9
    assert finds_better(fixed, fits)
    assert not finds_better(fits, fixed)
    # a few examples left out are a rough guess: of two, little more is no more
    for more, tested, better in ((0.1, 2, False), (0.2, 2, True), (0.1, 10, True)):
        checks = (MaskCheck(iou, tested, ()) for iou in (0.5 + more, 0.5))
        surer, other = (fits._replace(check=check) for check in checks)
        assert finds_better(surer, other) == better


def test_a_method_says_how_large_it_sees_whole_photos() -> None:
    assert learned(None, 200).zoom.side == SIDE
    assert learned(100, 200).zoom.side == 99
