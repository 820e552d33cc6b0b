from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from handful.errors import InputError
from handful.images import area_average, ink, read


def averaged(values: np.ndarray, size: int) -> np.ndarray:
    """Area averaging by refining both grids to their common multiple, in float64."""
    high, wide = (math.lcm(side, size) for side in values.shape)
    fine = values.astype(np.float64).repeat(high // len(values), 0)
    fine = fine.repeat(wide // values.shape[1], 1)
    return fine.reshape(size, high // size, size, wide // size).mean(axis=(1, 3))


def drawing(side: int = 60, seed: int = 0) -> np.ndarray:
    """Black strokes with soft edges on white."""
    rng = np.random.default_rng(seed)
    page = np.full((side, side), 255, np.uint8)
    points = rng.integers(8, side - 8, (6, 1, 2)).astype(np.int32)
    return cv2.polylines(page, [points], False, 0, 3, cv2.LINE_AA)


bilevel = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=5, max_side=14))


@settings(deadline=None)
@given(bilevel, st.integers(1, 20))
def test_black_on_white_is_the_plain_area_average(strokes: np.ndarray, size: int) -> None:
    side = max(strokes.shape)
    strokes = np.pad(strokes[:side, :side], 2)  # a white border, thick enough for the median
    image = np.where(strokes, 0, 255).astype(np.uint8)
    height, width = image.shape
    square = np.zeros((max(height, width),) * 2)
    top, left = (len(square) - height) // 2, (len(square) - width) // 2
    square[top : top + height, left : left + width] = 1 - image / 255.0
    np.testing.assert_allclose(ink(image, size), averaged(square, size), atol=2e-6)


@settings(deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)), st.integers(1, 15)
)
def test_area_average_against_its_twin(values: np.ndarray, size: int) -> None:
    np.testing.assert_allclose(area_average(values, size), averaged(values, size), atol=1e-3)


def test_area_average_against_opencv() -> None:
    values = np.random.default_rng(0).random((105, 105)).astype(np.float32)
    for size in (105, 35, 21, 28, 64):
        theirs = cv2.resize(values, (size, size), interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(area_average(values, size), theirs, atol=1e-5)


@settings(deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
    st.integers(1, 12),
)
def test_any_image_gives_values_of_0_to_1(image: np.ndarray, size: int) -> None:
    found = ink(image, size)
    assert found.shape == (size, size)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1


@settings(deadline=None)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=12)))
def test_a_negative_has_the_same_ink(image: np.ndarray) -> None:
    ours, theirs = ink(image, 8), ink(255 - image, 8)
    departs = np.median(_ring(image)) - image.astype(float)
    if (departs.clip(0) ** 2).sum() != (departs.clip(max=0) ** 2).sum():  # else both are right
        np.testing.assert_array_equal(ours, theirs)


def _ring(image: np.ndarray) -> np.ndarray:
    inner = np.zeros(image.shape, bool)
    inner[1:-1, 1:-1] = True
    return image[~inner]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(20, 255), st.floats(0.15, 1))
def test_paper_and_pen_do_not_matter(seed: int, paper: int, contrast: float) -> None:
    """Grey ink on grey paper is the ink of black on white, within the rounding of eight bits."""
    clean = drawing(seed=seed)
    faint = paper * (1 - contrast * (1 - clean / 255.0))
    steps = max(1.0, paper * contrast)
    found = ink(np.round(faint).astype(np.uint8), 30)
    assert np.abs(found - ink(clean, 30)).max() <= 1.5 / steps + 1e-6


@pytest.mark.parametrize("negative", [False, True])
def test_noise_and_dust_hardly_show(negative: bool) -> None:
    clean = drawing(90, seed=3)
    rng = np.random.default_rng(5)
    page = 215 - 110 * (1 - clean / 255.0) + rng.normal(0, 5, clean.shape)
    page[3, 3] = page[80, 5] = 0  # dust, darker than the pen
    noisy = page.round().clip(0, 255).astype(np.uint8)
    found = ink(255 - noisy if negative else noisy, 30)
    truth = ink(clean, 30)
    assert np.abs(found - truth).mean() < 0.02
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.98


def test_colour_counts_by_its_luma() -> None:
    page = np.full((20, 20, 3), 255, np.uint8)
    page[8:12, 4:16] = (255, 0, 0)
    expected = np.zeros((20, 20))
    expected[8:12, 4:16] = 1
    np.testing.assert_allclose(ink(page, 20), expected, atol=1e-6)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_an_empty_page_has_no_ink(value: int) -> None:
    assert not ink(np.full((9, 30, 3), value, np.uint8), 6).any()


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (np.zeros((4, 4), np.float32), 4),
        (np.zeros((4, 4, 4), np.uint8), 4),
        (np.zeros(4, np.uint8), 4),
        (np.zeros((0, 4), np.uint8), 4),
        (np.zeros((4, 4), np.uint8), 0),
    ],
)
def test_what_is_no_image(image: np.ndarray, size: int) -> None:
    with pytest.raises(InputError):
        ink(image, size)


@pytest.mark.data("omniglot-py")
def test_omniglot_is_averaged_exactly_and_fast(data_root: Callable[[str], Path]) -> None:
    root = data_root("omniglot-py") / "images_evaluation" / "Angelic"
    images = [read(path) for path in sorted(root.rglob("*.png"))[:200]]
    assert len(images) == 200
    for image in images[::40]:
        strokes = 1 - image[..., 0] / 255.0
        for size in (28, 42, 64, 105):
            np.testing.assert_allclose(ink(image, size), averaged(strokes, size), atol=2e-6)
    start = time.process_time()
    for image in images:
        ink(image, 64)
    assert time.process_time() - start < 200 * 0.0005 * 2  # twice what was asked, for busy machines
