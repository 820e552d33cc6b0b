from __future__ import annotations

import numpy as np
import pytest
import torch

from handful.errors import InputError
from handful.methods import segmenters
from handful.methods.baselines.blind_segmentation import BlindSegmentation
from handful.methods.segmenter import SegmentationMethod, at_size, decide


def test_a_pixel_is_of_its_surest_class_from_the_cut_on() -> None:
    soft = torch.tensor([[[0.5, 0.49, 0.8, 0.9]], [[0.4, 0.2, 0.8, 0.95]]])
    assert decide(soft)[:, 0].astype(int).tolist() == [[1, 0, 1, 0], [0, 0, 0, 1]]
    with pytest.raises(InputError, match="give"):
        decide(torch.zeros(4, 4))


def test_soft_masks_are_resized_between_the_middles_of_pixels() -> None:
    ramp = torch.tensor([[[0.0, 1.0]]])
    wanted = np.interp((np.arange(8) + 0.5) / 4 - 0.5, [0, 1], [0, 1])
    assert at_size(ramp, (1, 8))[0, 0].tolist() == pytest.approx(wanted)
    same = torch.rand(3, 4, 5)
    assert at_size(same, (4, 5)) is same


def test_baselines_do_not_look() -> None:
    photo = np.zeros((10, 20, 3), np.uint8)
    for name, share in (("whole", 1.0), ("centre", 0.3)):
        method = segmenters.load(name)
        assert isinstance(method, SegmentationMethod)
        (features,) = method.encode([photo])
        state = method.condition([features], [np.ones((10, 20), np.uint8)])
        answer = method.answer(features, [state, state])
        assert answer.masks.shape == (2, 10, 20)
        # 10 // 4 and 20 // 4 are cut from every side: 6 x 10 of 10 x 20 are left
        assert answer.masks.mean().item() == pytest.approx(share)
        assert answer.presence.tolist() == [1, 1]
    assert isinstance(BlindSegmentation(), SegmentationMethod)


def test_names_that_are_no_method_are_one_clear_line() -> None:
    with pytest.raises(InputError, match="no such method of segmentation; there are"):
        segmenters.load("magic:resnet50")
    for name in ("whole:resnet50", "centre"):
        with pytest.raises(InputError, match="it does not look"):
            segmenters.load(name, weights="file.safetensors")
