"""Dark pictures are brightened, others are not."""

from __future__ import annotations

import numpy as np
import pytest

from handful.images.tones import brighten


def test_a_dark_picture_is_as_if_exposed_longer() -> None:
    rng = np.random.default_rng(0)
    scene = rng.random((60, 80, 3))
    long, short = (np.round(scene * white).astype(np.uint8) for white in (255, 60))
    found = brighten(short)
    assert found.max() == 255
    # what 60 steps could not hold is lost, and the few brightest pixels meet white
    assert np.abs(found.astype(int) - long).max() <= 255 / 60 + 2


@pytest.mark.parametrize("white", [0, 128, 200, 255])
def test_other_pictures_stay(white: int) -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[5:15, 5:15, 1] = white
    assert brighten(picture) is picture


def test_hot_pixels_do_not_count() -> None:
    picture = np.full((100, 100, 3), 50, np.uint8)
    picture[3, 4] = picture[70, 20] = 255
    assert brighten(picture)[50, 50].tolist() == [255, 255, 255]
