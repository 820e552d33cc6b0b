from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from handful.errors import InputError
from handful.methods.hashing.library import HashLibrary
from handful.report import bit_ends
from handful.report.bit_ends import Ends, ends_of, telling_bits


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
    monkeypatch.setattr(bit_ends, "_BLOCK", 7)
    monkeypatch.setattr(bit_ends, "_CHUNK", 11)
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
