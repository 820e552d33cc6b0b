from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import pearsonr

from handful.errors import InputError
from handful.methods.hashing.library import HashLibrary
from handful.report import bits
from handful.report.bits import Ends, draw_bits, ends_of, telling_bits, thumbnail, thumbnails


def made(
    functions: int = 60, photos: int = 45, dimensions: int = 6
) -> tuple[HashLibrary, np.ndarray]:
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(functions, dimensions)) * rng.uniform(0.5, 2, (functions, 1))
    library = HashLibrary(
        weights.astype(np.float32), rng.normal(0, 0.3, functions).astype(np.float32)
    )
    return library, rng.normal(size=(photos, dimensions))


def margins_of(library: HashLibrary, features: np.ndarray) -> np.ndarray:
    """The margins in float64."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    found: np.ndarray = unit @ library.weights.astype(np.float64).T + library.bias
    return found


def test_photos_stand_at_their_ends_from_low_to_high() -> None:
    library, features = made()
    margins = margins_of(library, features)
    rows = ends_of(library, [7, 51], features, 4, examples=features[:5])
    assert [ends.number for ends in rows] == [7, 51]
    for ends in rows:
        column = margins[:, ends.number]
        order = sorted(range(len(column)), key=lambda photo: column[photo])
        assert [photo for photo, _ in ends.low] == order[:4]
        assert [photo for photo, _ in ends.high] == order[-4:]
        for photo, margin in (*ends.low, *ends.high):
            assert margin == pytest.approx(column[photo], abs=1e-5)
        assert ends.ones == sum(value > 0 for value in column) / len(column)
        assert ends.examples == pytest.approx(tuple(column[:5]), abs=1e-5)
        assert ends.example_ones == sum(value > 0 for value in column[:5])


@pytest.mark.parametrize(
    ("examples", "end"),
    [((), None), ((0.1, -0.1), None), ((0.1, 0.2, -0.9), 1), ((0.0, -0.2, 0.9), 0)],
)
def test_the_end_of_the_examples_is_that_of_most(
    examples: tuple[float, ...], end: int | None
) -> None:
    ends = Ends(3, 0.5, ((0, -0.12345),), ((1, 0.2),), examples)
    assert ends.end == end
    value = ends.to_json(["a.jpg", "b.jpg"])
    assert value["ends"] == {
        "0": [{"photo": "a.jpg", "margin": -0.1235}], "1": [{"photo": "b.jpg", "margin": 0.2}],
    }  # fmt: skip
    assert ("examples" in value) == bool(examples)


@pytest.mark.parametrize("count", [1, 3, 60])
def test_bits_are_chosen_as_a_plain_search_does(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bits, "_BLOCK", 7)
    monkeypatch.setattr(bits, "_CHUNK", 11)
    library, features = made()
    margins = margins_of(library, features)
    signs = margins > 0
    expected: list[int] = []
    for bit in sorted(range(60), key=lambda k: -np.abs(margins[:, k]).mean()):
        share = signs[:, bit].mean()
        if not 0.3 <= share <= 0.7 or len(expected) == count:
            continue
        if all(abs(pearsonr(signs[:, bit], signs[:, b]).statistic) < 0.3 for b in expected):
            expected.append(bit)
    assert telling_bits(library, features, count).tolist() == expected
    # bits were passed over, and even so more than one block was looked at
    assert len(expected) == count or 3 <= len(expected) < 30


def test_what_cannot_be_shown_is_said() -> None:
    library, features = made()
    with pytest.raises(InputError, match=r"^bit 60: the library has bits 0 to 59$"):
        ends_of(library, [0, 60], features, 4)
    with pytest.raises(InputError, match=r"^45 photos are too few for two ends of 23: give 46"):
        ends_of(library, [0], features, 23)
    assert len(ends_of(library, [0], features[:44], 22)[0].high) == 22
    with pytest.raises(InputError, match="library of 6 dimensions"):
        ends_of(library, [0], features[:, :5], 4)
    with pytest.raises(InputError, match="library of 6 dimensions"):
        telling_bits(library, features[:, :5], 4)
    always = HashLibrary(library.weights, np.full(60, 99, np.float32))
    with pytest.raises(InputError, match=r"no bit is 1 for 30 to 70 % of the photos"):
        telling_bits(always, features, 4)


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
        line = (np.abs(picture.astype(int) - purple) <= 2).all(2)
        y = int(line.sum(1).argmax())
        assert line[y].sum() == pytest.approx(208, abs=4)
        marked.append(np.flatnonzero(line[y]).mean())
    sides = [centres(picture, colour)[0, 1] for colour in ((200, 10, 10), (10, 200, 10))]
    assert marked == pytest.approx(sides, abs=2)
