from __future__ import annotations

import numpy as np
import pytest

from handful.errors import InputError
from handful.images import caption, grid, outline
from handful.images.draw import fit, strip_height

BLUE = np.zeros((40, 60, 3), np.uint8)
BLUE[...] = (0, 0, 255)
WHITE = (255, 255, 255)


def test_an_outline_covers_the_edge_alone() -> None:
    framed = outline(BLUE, "#ff8000", 4)
    assert (BLUE == (0, 0, 255)).all()  # the original is left alone
    assert (framed[4:-4, 4:-4] == (0, 0, 255)).all()
    changed = (framed != BLUE).any(axis=2)
    assert changed.sum() == 40 * 60 - 32 * 52
    assert (framed[changed] == (255, 128, 0)).all()
    assert (outline(BLUE, (1, 2, 3), 99) == (1, 2, 3)).all()
    with pytest.raises(InputError, match="colour 'blurple'"):
        outline(BLUE, "blurple")


def test_a_caption_writes_below_the_picture() -> None:
    found = caption(BLUE, "Ж 7")
    assert found.shape == (40 + strip_height(), 60, 3)
    np.testing.assert_array_equal(found[:40], BLUE)
    assert (found[40:] < 128).any()
    assert (caption(BLUE, "")[40:] == 255).all()
    # letters beyond Latin are letters, not one and the same box
    assert (caption(BLUE, "Ж") != caption(BLUE, "Ω")).any()


def test_a_long_caption_stays_inside() -> None:
    found = caption(BLUE, "a very long name of a class\nin two lines")
    assert found.shape == (40 + strip_height(), 60, 3)
    assert (found[40:, 0] == 255).all()
    assert (found[40:, -1] == 255).all()


def test_fit_keeps_proportions() -> None:
    square = fit(BLUE, 30)
    assert (square[5:25] == (0, 0, 255)).all()
    assert (square[:5] == 255).all()
    assert (square[25:] == 255).all()


def test_a_grid_puts_each_picture_in_its_place() -> None:
    pictures = [np.full((10, 10, 3), 40 * i, np.uint8) for i in range(5)]
    sheet = grid(pictures, columns=3, cell=20, gap=4, colours=[None, "red", None, None, None])
    assert sheet.shape == (4 + 2 * 24, 4 + 3 * 24, 3)
    for place in range(5):
        top, left = 4 + place // 3 * 24, 4 + place % 3 * 24
        cell = sheet[top : top + 20, left : left + 20]
        assert (cell[4:-4, 4:-4] == 40 * place).all()
        assert tuple(cell[0, 0]) == ((255, 0, 0) if place == 1 else (40 * place,) * 3)
    assert (sheet[28:, 52:] == WHITE).all()  # the sixth place is free
    assert (sheet[24:28] == WHITE).all()
    high = grid(pictures, columns=9, cell=20, gap=4, captions=list("abcde"))
    assert high.shape == (8 + 20 + strip_height(), 4 + 5 * 24, 3)


def test_a_grid_that_cannot_be() -> None:
    with pytest.raises(InputError, match="0 images"):
        grid([], 3)
    with pytest.raises(InputError, match="0 columns"):
        grid([BLUE], 0)
    with pytest.raises(InputError, match="1 captions for 2"):
        grid([BLUE, BLUE], 2, captions=["a"])
