from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.report import bits
from handful.report.bit_ends import Ends
from handful.report.bits import draw_bits, thumbnail, thumbnails


def test_photos_are_shown_whole(tmp_path: Path) -> None:
    wide = np.zeros((100, 400, 3), np.uint8)
    wide[:, :200] = 200, 0, 0
    wide[:, 200:] = 0, 0, 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    (found,) = thumbnails({17: tmp_path / "wide.png"}).values()
    assert found.shape == thumbnail(wide).shape == (208, 208, 3)
    np.testing.assert_array_equal(found[104, [3, 204]], [[200, 0, 0], [0, 0, 200]])
    assert (found[[10, 198]] == 255).all()


def plain(*colours: tuple[int, int, int]) -> dict[int, np.ndarray]:
    return {n: np.full((208, 208, 3), colour, np.uint8) for n, colour in enumerate(colours)}


def centres(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Where squares of a colour have their middle: rows of (y, x)."""
    from scipy.ndimage import center_of_mass, label

    there = (np.abs(picture.astype(int) - colour) <= 2).all(2)
    parts, count = label(there)
    sizes = np.bincount(parts.ravel())[1:]
    large = 1 + np.flatnonzero(sizes > 0.9 * 208**2)
    assert count
    return np.array(center_of_mass(there, parts, large)).reshape(-1, 2)


def test_a_row_has_its_ends_on_the_two_sides_of_a_black_bar(tmp_path: Path) -> None:
    red, green, blue, pink = (200, 10, 10), (10, 200, 10), (10, 10, 200), (250, 120, 200)
    rows = [
        Ends(5, 0.4, ((0, -0.2), (1, -0.1)), ((2, 0.1), (3, 0.2))),
        Ends(6, 0.4, ((3, -0.2), (2, -0.1)), ((1, 0.1), (0, 0.2))),
    ]
    photos = plain(red, green, blue, pink)
    draw_bits(tmp_path / "bits.png", rows, [(photos, photos)] * 2, ["a line", "and more " * 40])
    picture = np.array(Image.open(tmp_path / "bits.png").convert("RGB"))
    # a bar: black for as long as a photo is high
    bar = np.flatnonzero((picture == 0).all(2).sum(0) > 2 * 200)
    assert len(bar)
    assert bar.max() - bar.min() < 30
    places = {colour: centres(picture, colour) for colour in (red, green, blue, pink)}
    assert all(len(found) == 2 for found in places.values())
    upper = [places[colour][0, 1] for colour in (red, green, blue, pink)]
    assert upper == sorted(upper)
    assert upper[1] < bar.min()
    assert bar.max() < upper[2]
    lower = [places[colour][1, 1] for colour in (pink, blue, green, red)]
    assert lower == pytest.approx(upper, abs=1)
    assert (picture[-10:] == 255).all()
    assert (picture[:, -10:] == 255).all()


def test_examples_are_shown_and_their_end_is_marked(tmp_path: Path) -> None:
    purple = tuple(int(bits.EXAMPLE[i : i + 2], 16) for i in (1, 3, 5))
    photos = plain((200, 10, 10), (10, 200, 10))
    examples = [np.full((208, 208, 3), (10, 10, 200), np.uint8)] * 3
    marked = []
    for sign in (-1, 1):
        row = Ends(5, 0.4, ((0, -0.2),), ((1, 0.2),), (sign * 0.1, sign * 0.2, 0.1))
        path = tmp_path / f"{sign}.png"
        draw_bits(path, [row], [(photos, photos)], ["a line"], examples, total=9)
        picture = np.array(Image.open(path).convert("RGB"))
        assert len(centres(picture, (10, 10, 200))) == 2  # as many as fit
        line = np.all(np.abs(picture.astype(int) - purple) <= 2, axis=2)
        y = int(line.sum(1).argmax())
        assert line[y].sum() == pytest.approx(208, abs=4)
        marked.append(np.flatnonzero(line[y]).mean())
    sides = [centres(picture, colour)[0, 1] for colour in ((200, 10, 10), (10, 200, 10))]
    assert marked == pytest.approx(sides, abs=2)
