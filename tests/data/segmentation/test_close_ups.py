"""Close-ups against windows cut by hand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from handful.data.segmentation.close_ups import FILLED, SMALLEST, add_close_ups
from handful.data.segmentation.folder import read_folder
from handful.data.segmentation.photos import SegmentationSet


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SegmentationSet:
    """Three photos whose pixels say where they are: a box, a thin cross, a box of the other."""
    root = tmp_path_factory.mktemp("photos")
    rows, columns = np.mgrid[:120, :160]
    pixels = np.stack([rows, columns, np.zeros_like(rows)], -1).astype(np.uint8)
    box, cross = np.zeros((2, 120, 160), np.uint8)
    box[20:100, 30:150] = 1
    cross[:, 78:82] = cross[58:62] = 1
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for number, mask in enumerate([box, cross, 2 * box]):
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    (root / "classes.txt").write_text("1 a\n2 b\n")
    return read_folder(root)


def test_close_ups_are_windows_that_their_object_fills(whole: SegmentationSet) -> None:
    pairs = [(0, 0), (1, 0), (2, 1)]
    found, more = add_close_ups(whole, pairs, seed=3)
    assert more == [*pairs, (3, 0), (4, 1)]  # nothing fills a window of the cross
    assert found.sources.tolist() == [0, 1, 2, 0, 2]
    assert found.eligible[3:].tolist() == [[True, False], [False, True]]
    for close_up, label in more[3:]:
        image, mask = found.image(close_up), found.checked_mask(close_up, label)
        assert image.shape[:2] == mask.shape
        assert min(mask.shape) >= SMALLEST
        assert (mask == 1).mean() >= FILLED
        # the pixels know their places: image and mask are one rectangle of the whole
        top, left = image[0, 0, :2]
        bottom, right = image[-1, -1, :2] + 1
        truth = whole.mask(int(found.sources[close_up]), label)[top:bottom, left:right]
        np.testing.assert_array_equal(mask, truth)
    np.testing.assert_array_equal(found.image(1), whole.image(1))
    again = add_close_ups(whole, pairs, seed=3)[0]
    assert again.windows == found.windows != add_close_ups(whole, pairs, seed=4)[0].windows


def test_some_of_them_are_still_themselves(whole: SegmentationSet) -> None:
    found = add_close_ups(whole, [(0, 0), (2, 1)])[0]
    few = found.take([4, 0]).only(["b"])
    assert few.sources.tolist() == [2, 0]
    np.testing.assert_array_equal(few.image(0), found.image(4))
    np.testing.assert_array_equal(few.mask(0, 0), found.mask(4, 1))
    assert not few.mask(1, 0).any()
