from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.errors import InputError
from handful.images import center_crop, cut, pad_square, resize, resize_short

COLOUR = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


def test_shrinking_averages_and_does_not_alias() -> None:
    # every second column white: sampling would give black or white, averaging gives the middle
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    inside = resize(stripes, (16, 16))[:, 2:-2].astype(int)
    assert np.abs(inside - 127.5).max() <= 1
    smooth = cv2.GaussianBlur(COLOUR, (0, 0), 6)
    theirs = cv2.resize(smooth, (30, 20), interpolation=cv2.INTER_AREA)
    assert np.abs(resize(smooth, (20, 30)).astype(int) - theirs).max() <= 4


def test_the_sides_are_height_and_width() -> None:
    ramp = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[None], 50, axis=0)
    found = resize(ramp, (10, 25))
    assert found.shape == (10, 25)
    assert (np.diff(found.astype(int), axis=1) > 0).all()
    assert (found == found[0]).all()
    assert resize(COLOUR, (60, 90)) is COLOUR
    assert resize(COLOUR, (120, 45)).shape == (120, 45, 3)


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (10**6, 10**6)])
def test_sizes_that_cannot_be(size: tuple[int, int]) -> None:
    with pytest.raises(InputError):
        resize(COLOUR, size)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30))
def test_resize_short(height: int, width: int, short: int) -> None:
    found = resize_short(np.zeros((height, width, 3), np.uint8), short)
    assert min(found.shape[:2]) == short
    assert (found.shape[0] >= found.shape[1]) == (height >= width) or found.shape[0] == short
    assert max(found.shape[:2]) == pytest.approx(
        short * max(height, width) / min(height, width), abs=0.5
    )


def test_center_crop() -> None:
    np.testing.assert_array_equal(center_crop(COLOUR, (60, 90)), COLOUR)
    np.testing.assert_array_equal(center_crop(COLOUR, (20, 41)), COLOUR[20:40, 24:65])
    for size in [(61, 90), (0, 3), (60, 91)]:
        with pytest.raises(InputError, match="90 x 60"):
            center_crop(COLOUR, size)


def test_cut() -> None:
    np.testing.assert_array_equal(cut(COLOUR, (10, 20, 5, 6)), COLOUR[20:26, 10:15])
    np.testing.assert_array_equal(cut(COLOUR, (-5, -5, 10, 7)), COLOUR[:2, :5])
    np.testing.assert_array_equal(cut(COLOUR, (80, 50, 99, 99)), COLOUR[50:, 80:])
    np.testing.assert_array_equal(cut(COLOUR, (10.6, 20.2, 1.0, 0.5)), COLOUR[20:21, 10:12])


@pytest.mark.parametrize(
    ("box", "match"),
    [
        ((0, 0, 0, 5), "area"),
        ((0, 0, 5, -1), "area"),
        ((90, 0, 5, 5), "outside the 90 x 60"),
        ((-5, 0, 5, 5), "outside"),
        ((float("nan"), 0, 5, 5), "finite"),
        ((0, 0, float("inf"), 5), "finite"),
        ((1, 2, 3), "four"),
    ],
)
def test_boxes_that_cannot_be(box: tuple[float, ...], match: str) -> None:
    with pytest.raises(InputError, match=match):
        cut(COLOUR, box)


@pytest.mark.parametrize("turned", [False, True])
def test_pad_square(turned: bool) -> None:
    image = COLOUR.swapaxes(0, 1) if turned else COLOUR
    square = pad_square(image, (1, 2, 3))
    assert square.shape == (90, 90, 3)
    if turned:
        square = square.swapaxes(0, 1)
    np.testing.assert_array_equal(square[15:75], COLOUR)
    assert (square[:15] == (1, 2, 3)).all()
    assert (square[75:] == (1, 2, 3)).all()
