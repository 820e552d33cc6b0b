from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from handful.data.annotations.polygons import fill, outline, polygon
from handful.errors import InputError


def by_winding(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Sum the signed angles under which every pixel's centre sees the edges."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    angle = np.zeros(size)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        ax, ay = start[0] - columns, start[1] - rows
        bx, by = end[0] - columns, end[1] - rows
        angle += np.arctan2(ax * by - ay * bx, ax * bx + ay * by)
    return np.asarray(np.abs(angle) > np.pi)


@pytest.mark.parametrize("seed", range(20))
def test_fill_is_the_winding_rule_at_pixel_centres(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.random((int(rng.integers(3, 9)), 2)) * [40, 30] - 4  # reaches over the edge
    assert np.array_equal(fill([corners], (23, 31)), by_winding(corners, (23, 31)))


def test_a_simple_polygon_is_matplotlibs() -> None:
    turn = np.linspace(0, 2 * np.pi, 17)[:-1]
    star = 20 + np.column_stack([np.cos(turn), np.sin(turn)]) * np.tile([[18.3], [7.1]], (8, 1))
    rows, columns = np.mgrid[:40, :40] + 0.5
    inside = Outline(star).contains_points(np.column_stack([columns.ravel(), rows.ravel()]))
    assert np.array_equal(fill([star], (40, 40)), inside.reshape(40, 40))


def test_overlapping_and_self_crossing_polygons_are_a_union_never_even_odd() -> None:
    square = np.array([[0.0, 0], [6, 0], [6, 6], [0, 6]])
    assert fill([square, square + 2], (8, 8)).sum() == 36 + 36 - 16
    twice = np.concatenate([square, square])  # runs around twice: even-odd would leave nothing
    assert fill([twice], (8, 8)).sum() == 36


@pytest.mark.parametrize("seed", range(30))
def test_an_outline_filled_again_is_the_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 15)), int(rng.integers(1, 15)))
    mask = rng.random(size) < rng.random()
    assert np.array_equal(fill(outline(mask), size), mask)


def test_an_outline_keeps_holes_and_parts_pixels_that_touch_by_a_corner() -> None:
    ring = np.ones((5, 5), bool)
    ring[1:4, 1:4] = False
    assert len(outline(ring)) == 1
    assert np.array_equal(fill(outline(ring), (5, 5)), ring)
    assert len(outline(np.eye(3, dtype=bool))) == 3
    assert outline(np.zeros((3, 3))) == []


def test_wrong_polygons_are_one_clear_line() -> None:
    for points in ([1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], [[0, 0], [1, None], [2, 2]]):
        with pytest.raises(InputError, match=r"^a\.json: .*(corners|numbers)"):
            polygon(points, "a.json")
    far = np.array([[50.0, 50], [60, 50], [60, 60]])
    with pytest.raises(InputError, match=r"^a\.json: .* outside the 20 x 10 image"):
        fill([far], (10, 20), "a.json")
