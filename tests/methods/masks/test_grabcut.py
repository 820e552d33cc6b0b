"""GrabCut's wrapper against OpenCV's own function, and seeds against a loop."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from handful.errors import InputError
from handful.methods.masks.grabcut import LIKELY, NOT, SURELY, UNLIKELY, grabcut, seed_hints


def photo() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    picture = rng.normal(90, 15, (60, 80, 3))
    picture[20:45, 25:60] = rng.normal((200, 120, 40), 15, (25, 35, 3))
    return picture.clip(0, 255).astype(np.uint8)


def test_it_is_opencvs_cut_of_the_same_hints() -> None:
    hints = np.full((60, 80), UNLIKELY, np.uint8)
    hints[15:50, 20:65] = LIKELY
    hints[30:34, 40:44], hints[:4] = SURELY, NOT
    expected, sides = hints.copy(), (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.setRNGSeed(0)
    bgr = cv2.cvtColor(photo(), cv2.COLOR_RGB2BGR)
    cv2.grabCut(bgr, expected, None, *sides, 5, cv2.GC_INIT_WITH_MASK)
    truth = (expected == cv2.GC_FGD) | (expected == cv2.GC_PR_FGD)
    before = hints.copy()
    found = grabcut(photo(), hints, 5)
    assert np.array_equal(found, truth)
    assert (found[20:45, 25:60]).mean() > 0.9
    assert found[:4].sum() == 0
    assert np.array_equal(hints, before)


@pytest.mark.parametrize("value", [NOT, SURELY, UNLIKELY, LIKELY])
def test_hints_that_name_one_side_alone_are_the_answer(value: int) -> None:
    found = grabcut(photo(), np.full((60, 80), value, np.uint8))
    assert found.all() == (value in (SURELY, LIKELY)) != (not found.any())
    with pytest.raises(InputError, match="make them alike"):
        grabcut(photo(), np.zeros((5, 5), np.uint8))


def test_seeds_are_shares_of_the_maximum() -> None:
    heat = np.random.default_rng(1).random((9, 11)) * 3
    heat[0, 0] = 0
    found = seed_hints(heat)
    for value, hint in zip(heat.ravel() / heat.max(), found.ravel(), strict=True):
        if value > 0.6:
            assert hint == cv2.GC_FGD
        elif value > 0.3:
            assert hint == cv2.GC_PR_FGD
        elif value >= 0.05:
            assert hint == cv2.GC_PR_BGD
        else:
            assert hint == cv2.GC_BGD
    assert set(found.ravel().tolist()) == {NOT, SURELY, UNLIKELY, LIKELY}
    assert (seed_hints(np.zeros((3, 3))) == NOT).all()
