from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from handful.methods.baselines.blind_segmentation import BlindSegmentation
from handful.methods.masks import zoom as module
from handful.methods.masks.zoom import (
    MOST_PIXELS,
    OBJECT,
    SIDE,
    Zoom,
    choose_zoom,
    decide_at,
    learning_tiles,
    soft_masks,
)
from handful.methods.segmenter import Answer, Features, Image, at_size, decide


def square(side: int, size: tuple[int, int] = (300, 400)) -> NDArray[np.uint8]:
    mask = np.zeros(size, np.uint8)
    mask[10 : 10 + side, 20 : 20 + side] = 1
    return mask


def test_large_objects_are_seen_whole_and_small_ones_magnified() -> None:
    assert choose_zoom([[square(60)]]).factor is None
    assert choose_zoom([[square(60)]]).typical == pytest.approx(3600 / 120000)
    small = choose_zoom([[square(16)]])
    assert small == Zoom(OBJECT / 16, 256.0)
    assert choose_zoom([[square(1)]]).factor == module.MOST_FACTOR
    # the class with the smaller objects decides
    assert choose_zoom([[square(60)], [square(16)]]) == small


@pytest.mark.parametrize(("size", "zoom"), [
    ((9000, 12000), Zoom(3.0, 200.0)),
    ((520, 696), Zoom(4.0, 150.0)),
    ((300, 9000), Zoom(1.0, 150.0)),
    ((9000, 12000), Zoom(None, 0.2)),
])  # fmt: skip
def test_tiles_cover_every_pixel_within_a_budget(size: tuple[int, int], zoom: Zoom) -> None:
    tiles = zoom.tiles(size)
    seen = np.zeros((size[0] // 10 + 1, size[1] // 10 + 1), bool)
    for tile in tiles:
        seen[tile.top // 10 : -(-tile.bottom // 10), tile.left // 10 : -(-tile.right // 10)] = True
        assert 0 <= tile.top < tile.bottom <= size[0]
        assert max(tile.seen) <= max(1.5 * module.TILE, SIDE) + 1
    assert seen[: size[0] // 10, : size[1] // 10].all()
    assert sum(h * w for *_, (h, w) in tiles) < 2.2 * MOST_PIXELS


def test_a_strip_at_a_time_is_the_same_as_all_at_once() -> None:
    soft = torch.rand(3, 13, 17, generator=torch.Generator().manual_seed(0))
    for size in ((101, 203), (7, 9), (13, 17)):
        whole = decide(at_size(soft, size))
        found = decide_at(soft, size, strip=16)
        assert found.shape == whole.shape
        assert (found != whole).mean() < 1e-3  # ties in the last bit


class _Bright:
    """Finds what is bright, where it is, at the size that it is shown."""

    name, backbone, threshold = "bright", "none", 0.5
    shown: list[tuple[int, int]]

    def __init__(self) -> None:
        self.shown = []

    def encode(self, images: Sequence[Image]) -> list[Features]:
        self.shown += [(image.shape[0], image.shape[1]) for image in images]
        return [{"grey": torch.from_numpy(i[..., 0].copy())[None] / 255} for i in images]

    def condition(self, features: object, masks: object) -> None:
        """Learn nothing."""

    def answer(self, query: Features, states: Sequence[None]) -> Answer:
        grey = query["grey"].float()
        return Answer(grey.expand(len(states), -1, -1), grey.amax().expand(len(states)))


def test_tiles_are_put_together_where_they_belong() -> None:
    photo = np.zeros((700, 1500, 3), np.uint8)
    photo[100:180, 700:800] = 255
    photo[600:690, 1400:1490] = 255
    method = _Bright()
    soft, presence = soft_masks(method, photo, [None], Zoom(1.0, 100.0))
    assert len(method.shown) == 3
    assert presence.tolist() == [1.0]
    found = decide_at(soft, (700, 1500))[0]
    truth = photo[..., 0] > 0
    assert (found & truth).sum() / (found | truth).sum() > 0.93


def test_a_picture_of_one_tile_is_answered_as_it_is() -> None:
    photo = np.zeros((100, 200, 3), np.uint8)
    soft, _ = soft_masks(BlindSegmentation("centre"), photo, [None, None], Zoom(None, 0.1))
    assert soft.shape == (2, SIDE // 2, SIDE)


def test_few_tiles_of_a_large_example_are_learned_from() -> None:
    zoom = Zoom(1.0, 100.0)
    mask = np.zeros((6000, 6000), np.uint8)
    mask[3000:3010, 3000:3010] = 1
    tiles = zoom.tiles((6000, 6000))
    kept = learning_tiles(tiles, [mask])
    assert any((tile.cut(mask) == 1).any() for tile in kept)
    assert len(kept) <= module.SHOWING + module.EMPTY < len(tiles)


def test_a_picture_that_is_seen_too_small_says_so() -> None:
    assert Zoom(4.0, 100.0).shortfall((520, 696)) is None
    assert Zoom(None, 0.1).shortfall((9000, 12000)) is None
    share = Zoom(4.0, 100.0).shortfall((9000, 12000))
    assert share == pytest.approx((MOST_PIXELS / 108e6) ** 0.5 / 4)
