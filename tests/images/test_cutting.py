"""Objects cut out of pictures: whole, by a box, by a mask, and from a coarser decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.errors import InputError
from handful.images import clip_box, cut_masked, cut_object, mask_box, read
from handful.images.cutting import MARGIN, NEUTRAL, read_objects


def gradient(height: int, width: int) -> np.ndarray:
    """Red tells the column, green the row, in shares of the size."""
    x, y = np.linspace(0, 255, width), np.linspace(0, 255, height)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0], picture[..., 1] = x[None], y[:, None]
    return picture


def test_the_margin_is_a_share_of_the_box_and_ends_at_the_edge() -> None:
    picture = gradient(200, 300)
    cut = cut_object(picture, (100, 60, 40, 20), margin=0.25)
    np.testing.assert_array_equal(cut, picture[55:85, 90:150])
    np.testing.assert_array_equal(
        cut_object(picture, (0, 0, 100, 100), margin=0.1), picture[:110, :110]
    )
    side = round(40 * MARGIN)
    np.testing.assert_array_equal(
        cut_object(picture, (100, 60, 40, 20)), picture[59:81, 100 - side : 140 + side]
    )


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (0, 0, 5, -1), (60, 0, 5, 5), (0, 0, 5, np.nan)])
def test_a_box_that_shows_nothing_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="box"):
        clip_box(box, 40, 60)
    with pytest.raises(InputError, match="box"):
        cut_object(gradient(40, 60), box)


def test_boxes_are_clipped_to_the_picture() -> None:
    assert clip_box((-4, -6, 100, 20), 40, 60) == (0, 0, 60, 14)
    inside = (0.1, 0.7, 33.3, 12.9)
    assert clip_box(inside, 40, 60) == inside


def test_a_mask_is_cut_on_a_neutral_ground() -> None:
    picture, mask = gradient(40, 60), np.zeros((40, 60), np.uint16)
    mask[10:30, 20:40] = 300
    mask[10, 20] = 0
    assert mask_box(mask) == (20, 10, 20, 20)
    cut = cut_masked(picture, mask)
    np.testing.assert_array_equal(cut[1:21, 1:21][1:, 1:], picture[11:30, 21:40])
    assert (cut[0] == NEUTRAL).all()
    assert (cut[1, 1] == NEUTRAL).all()
    with pytest.raises(InputError, match="empty"):
        cut_masked(picture, np.zeros((40, 60)))


def test_objects_come_from_one_decoding_and_a_bad_box_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(gradient(40, 60)).save(path)
    whole, bad, part = read_objects(path, [None, (100, 0, 5, 5), (20, 10, 20, 20)])
    np.testing.assert_array_equal(whole, gradient(40, 60))
    assert isinstance(bad, InputError)
    assert "outside the 60 x 40" in str(bad)
    assert isinstance(part, np.ndarray)
    np.testing.assert_array_equal(part, cut_object(gradient(40, 60), (20, 10, 20, 20)))
    assert part.base is None  # no view that would keep the whole picture


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_coarser_decoding_shows_the_same_object(tmp_path: Path, orientation: int) -> None:
    """A large JPEG is decoded at a fraction, and the box follows, however the camera lay."""
    upright = gradient(1600, 1200) if orientation == 6 else gradient(1200, 1600)
    stored = np.rot90(upright) if orientation == 6 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "large.jpg"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, quality=95, exif=exif)
    np.testing.assert_allclose(read(path), upright, atol=8)
    box = (400, 300, 640, 480)
    (fine,), (coarse,) = read_objects(path, [box]), read_objects(path, [box], at_least=100)
    assert isinstance(fine, np.ndarray)
    assert isinstance(coarse, np.ndarray)
    assert 100 <= min(coarse.shape[:2]) < min(fine.shape[:2]) / 2
    # both reach from the same column and row to the same, give or take a coarse pixel
    for edge in (np.s_[:1], np.s_[-1:]):
        np.testing.assert_allclose(fine[:, edge, 0].mean(), coarse[:, edge, 0].mean(), atol=3)
        np.testing.assert_allclose(fine[edge, :, 1].mean(), coarse[edge, :, 1].mean(), atol=3)


def test_the_smallest_object_decides_how_coarse(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(gradient(1200, 1600)).save(path, quality=95)
    whole, small = read_objects(path, [None, (0, 0, 110, 110)], at_least=100)
    assert isinstance(whole, np.ndarray)
    assert isinstance(small, np.ndarray)
    assert whole.shape == (1200, 1600, 3)
    assert min(small.shape[:2]) >= 110
    (alone,) = read_objects(path, [None], at_least=100)
    assert isinstance(alone, np.ndarray)
    assert alone.shape == (150, 200, 3)
