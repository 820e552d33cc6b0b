from __future__ import annotations

import numpy as np
import pytest

from handful.images.draw import strip_height
from handful.report import segmentation_figures as figures
from handful.report.segmentation_panels import (
    CELL,
    GAP,
    GREEN,
    RED,
    YELLOW,
    Episode,
    Example,
    compared,
    heated,
    mosaic,
    sheet,
    tinted,
)


def episode(shots: int = 1, number: int = 3) -> Episode:
    """A grey photo, wide; the left half is true, the middle half found, the top void."""
    image = np.full((60, 120, 3), 90, np.uint8)
    truth = np.zeros((60, 120), np.uint8)
    truth[:, :60], truth[:10] = 1, 255
    found = np.zeros((60, 120), bool)
    found[:, 30:90] = True
    mask = np.zeros((60, 120), np.uint8)
    mask[20:40, 20:40] = 1
    taught = tuple(Example(image, mask) for _ in range(shots))
    return Episode(number, "cat", taught, image, found, truth, {"query": "a.jpg"})


def panel(picture: np.ndarray, row: int, column: int, high: int) -> np.ndarray:
    """Cut a panel out of a sheet of panels of one height, below headings if there are some."""
    step = high + strip_height() + GAP
    top, left = GAP + row * step, GAP + column * (CELL + GAP)
    cut: np.ndarray = picture[top : top + high, left : left + CELL]
    return cut


def share(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    """Return how much of a picture over grey of 90 has a colour's tint or is its outline."""
    tint = 0.4 * 90 + 0.6 * np.array(colour)
    near = (np.abs(picture - tint) <= 6).all(2) | (np.abs(picture - np.array(colour)) <= 6).all(2)
    return float(near.mean())


def test_overlap_is_counted_without_void() -> None:
    shown = episode()
    both = sum(30 <= x < 60 for x in range(120) for y in range(10, 60))
    either = sum(x < 90 for x in range(120) for y in range(10, 60))
    assert shown.iou == pytest.approx(both / either)
    assert shown.line == "#3 cat: IoU 0.33"
    assert shown.to_dict() == {
        "episode": 3, "class": "cat", "shots": 1, "iou": 0.3333, "query": "a.jpg",
    }  # fmt: skip


def test_colours_say_who_marked_what() -> None:
    shown = episode()
    drawn = compared(shown.image, shown.found, shown.truth).astype(float)
    assert share(drawn[:10], GREEN) == share(drawn[:10], RED) == 0  # void
    below = drawn[10:]
    assert share(below, GREEN) == pytest.approx(30 / 120, abs=0.01)
    assert share(below, YELLOW) == pytest.approx(30 / 120, abs=0.01)
    assert share(below, RED) == pytest.approx(30 / 120, abs=0.01)
    assert (below[:, 95:] == 90).all()
    assert share(shown.predicted()[0].astype(float), RED) == pytest.approx(0.5, abs=0.01)
    assert share(shown.taught()[0].astype(float)[..., :], YELLOW) > 0


def test_a_large_photo_is_shrunk_to_its_panel() -> None:
    mask = np.zeros((2000, 1000), bool)
    mask[500:1500] = True
    drawn = tinted(np.zeros((2000, 1000, 3), np.uint8), [(mask, RED)])
    assert drawn.shape == (2 * CELL, CELL, 3)
    assert (drawn.any(2).mean()) == pytest.approx(0.5, abs=0.02)


def test_heat_runs_from_the_smallest_to_the_largest_value() -> None:
    photo = np.full((40, 40, 3), 120, np.uint8)
    ramp = np.tile(np.linspace(-5.0, 3.0, 8), (8, 1))
    drawn = heated(photo, ramp).astype(int)
    assert drawn[20, -1, 0] > drawn[20, -1, 2] + 50  # red where it is largest
    np.testing.assert_array_equal(heated(photo, 10 * ramp + 7), heated(photo, ramp))
    flat = heated(photo, np.full((8, 8), 0.7))
    assert (flat == flat[0, 0]).all()


@pytest.mark.parametrize(("count", "columns"), [(2, 2), (4, 2), (5, 3)])
def test_a_mosaic_holds_every_example(count: int, columns: int) -> None:
    colours = [(30 * n + 20, 200 - 30 * n, 77) for n in range(count)]
    pictures = [np.full((50, 50, 3), colour, np.uint8) for colour in colours]
    drawn = mosaic(pictures)
    assert drawn.shape[0] / drawn.shape[1] == pytest.approx(np.ceil(count / columns) / columns)
    assert mosaic(pictures[:1]) is pictures[0]
    side = drawn.shape[1] // columns
    for colour in colours:
        assert ((drawn == colour).all(2)).sum() == (side - 2) ** 2


def test_a_sheet_has_rows_as_high_as_their_pictures() -> None:
    wide, tall = np.zeros((50, 100, 3), np.uint8), np.zeros((100, 50, 3), np.uint8)
    flat = sheet([[(wide, "a"), (wide, "b")]], ["foot"])
    high = sheet([[(wide, "a"), (tall, "b")]], ["foot"])
    assert high.shape[0] - flat.shape[0] == CELL // 2
    assert flat.shape[1] == high.shape[1] == GAP + 2 * (CELL + GAP)
    assert (panel(flat, 0, 1, CELL // 2) == 0).all()
    more = sheet([[(wide, "a"), None]], ["a long line of text " * 9])
    assert (panel(more, 0, 1, CELL // 2) == 255).all()
    assert more.shape[0] > flat.shape[0]


def test_every_figure_shows_its_episodes() -> None:
    one, five = episode(), episode(5)
    maps = {"prototype": {8: np.eye(4, dtype=np.float32), 16: np.ones((2, 2), np.float32)}}
    looks = [(one.image, one.image)] * 2
    drawn = {
        "tiles": figures.tiles([one] * 5, ["foot"]),
        "conditioning": figures.conditioning([(one, five)], ["foot"]),
        "shots": figures.shots([(one, five)] * 2, ["foot"]),
        "sides": figures.sides([(five, one)], ["foot"]),
        "energy": figures.energy([(one, maps)], ["foot"]),
        "attention": figures.attention([([one, five], looks)], ["foot"]),
    }
    columns = {name: (picture.shape[1] - GAP) // (CELL + GAP) for name, picture in drawn.items()}
    assert columns == {
        "tiles": 4, "conditioning": 4, "shots": 2, "sides": 6, "energy": 4, "attention": 6,
    }  # fmt: skip
    first = panel(drawn["tiles"], 0, 0, CELL // 2).astype(float)
    second = panel(drawn["tiles"], 1, 0, CELL // 2).astype(float)
    assert share(first, YELLOW) == pytest.approx(400 / 7200, abs=0.01)
    assert share(second, RED) == pytest.approx(0.5, abs=0.04)
    assert share(second, YELLOW) == 0
