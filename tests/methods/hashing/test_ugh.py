"""The library, the selection of bits, and the method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handful import zoo
from handful.errors import InputError
from handful.methods.hashing import UGH, HashLibrary, pack, unpack
from handful.methods.hashing.library import Precision
from handful.methods.hashing.selection import active_weights, pull, select

Clusters = tuple[NDArray[np.float64], NDArray[np.int64]]


@pytest.fixture(scope="module")
def library() -> HashLibrary:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(300, 16)).astype(np.float32)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    return HashLibrary(weights, (0.1 * rng.normal(size=300)).astype(np.float32))


def card() -> zoo.Card:
    return zoo.Card(
        name="own-library",
        title="A library",
        task="find",
        method="ugh",
        backbone="none",
        licence="Apache-2.0",
        commercial_use=True,
        data="chance",
        limits="all",
    )


def test_codes_and_rows_are_the_same_bits(library: HashLibrary, clusters: Clusters) -> None:
    rows = 3 * np.tile(clusters[0], (6, 1))[:1101]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = unit @ library.weights.T.astype(float) + library.bias > 0
    assert (unpack(library.encode(rows), 300) == expected).mean() > 0.9999
    np.testing.assert_array_equal(
        unpack(library.encode(rows), 300), unpack(library.rows(rows), 1101).T
    )


@pytest.mark.parametrize(
    ("precision", "share"), [("float32", 0), ("float16", 1e-3), ("int8", 2e-2)]
)
def test_a_saved_library_is_the_same(
    precision: Precision, share: float, library: HashLibrary, clusters: Clusters, tmp_path: Path
) -> None:
    written = library.save(tmp_path / "own", card(), precision)
    again = HashLibrary.load(tmp_path / "own")
    changed = unpack(again.encode(clusters[0]) ^ library.encode(clusters[0]), 300).mean()
    assert changed <= share
    per_weight = {"float32": 4, "float16": 2, "int8": 1}[precision]
    assert 300 * 16 * per_weight < written.bytes < 300 * 16 * per_weight + 4000
    if precision == "float32":
        assert again.weights.tobytes() == library.weights.tobytes()


def test_files_and_features_that_do_not_fit(library: HashLibrary, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not fit a library of 16 dimensions"):
        library.encode(np.ones((2, 17)))
    with pytest.raises(InputError, match="is one of float32"):
        library.tensors("int4")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is no library"):
        HashLibrary.load("handful-base")


def test_the_pull_is_the_gradient_of_the_squared_hinge() -> None:
    rng = np.random.default_rng(0)
    bits = rng.random((40, 21)) < 0.4
    target = np.where(np.arange(21) < 6, 1.0, -1.0)
    step, values = 1e-6, []
    intercept = target.mean()

    def loss(w: float, bit: int, b: float) -> float:
        return float((np.maximum(1 - target * (w * bits[bit] + b), 0) ** 2).sum())

    for bit in range(40):
        values.append((loss(step, bit, intercept) - loss(-step, bit, intercept)) / (2 * step))
    slope = (loss(0, 0, intercept + step) - loss(0, 0, intercept - step)) / (2 * step)
    assert slope == pytest.approx(0, abs=1e-6)
    found = pull(pack(bits), target)
    np.testing.assert_allclose(np.abs(values), 4 * found, atol=1e-6)


def test_the_bits_that_make_a_class_have_the_largest_weights() -> None:
    rng = np.random.default_rng(1)
    table = (rng.random((300, 50)) < 0.5).astype(float)
    target = np.where(table[:, 7] + table[:, 31] > 1, 1.0, -1.0)
    weights = active_weights(table, target[None], 2)
    assert set(np.argsort(-weights)[:2].tolist()) == {7, 31}
    assert np.flatnonzero(weights).size >= 2


def test_bits_that_tell_are_selected() -> None:
    rng = np.random.default_rng(2)
    number = np.arange(60) % 3
    bits = rng.random((500, 60)) < 0.5
    for c in range(3):
        bits[100 + c] = number == c
    assert set(select(pack(bits), number, 3).tolist()) == {100, 101, 102}
    assert set(select(pack(bits), number, 3, prefilter=20).tolist()) == {100, 101, 102}
    assert select(pack(bits), number, 1, positive=1).tolist() == [101]


@pytest.mark.parametrize("positive", [None, 0])
def test_one_example_a_class_gives_as_many_bits_as_wanted(positive: int | None) -> None:
    bits = np.random.default_rng(0).random((200, 4)) < 0.5
    chosen = select(pack(bits), np.arange(4), 32, positive=positive)
    assert len(set(chosen.tolist())) == 32
    # bits that are the same for all examples come last
    tell = np.asarray(bits.any(1) & ~bits.all(1))
    assert tell[chosen].all()
    assert len(set(select(pack(np.ones((9, 4), bool)), np.arange(4), 5).tolist())) == 5
    with pytest.raises(InputError, match="9 bits of a library of 5"):
        select(pack(bits[:5]), np.arange(4), 9)


def test_selected_bits_beat_random_ones_on_clusters(
    library: HashLibrary, clusters: Clusters, make_clusters: Callable[..., Clusters]
) -> None:
    rows, number = make_clusters(100, 5, 16, 0.4, 5)
    same = number[:, None] == number

    def gap(hasher: UGH) -> float:
        bits = unpack(hasher.fit(*clusters).transform(rows), 8)
        away = (bits[:, None] != bits).sum(2)
        return float(away[~same].mean() - away[same].mean())

    random = [gap(UGH(library, 8, seed, "random")) for seed in range(8)]
    assert gap(UGH(library, 8)) > np.mean(random) + np.std(random)


def test_every_selection(library: HashLibrary, clusters: Clusters) -> None:
    rows, number = clusters
    whole = UGH(library, selection="all").fit(rows)
    assert whole.n_bits == 300
    np.testing.assert_array_equal(whole.transform(rows), library.encode(rows))
    drawn = UGH(library, 8, 3, "random").fit(rows)
    assert len(set(drawn.chosen_.tolist())) == 8
    assert drawn.chosen_.tolist() != UGH(library, 8, 4, "random").fit(rows).chosen_.tolist()
    one = UGH(library, 8, selection="category", category=2).fit(rows, number)
    two = UGH(library, 8, selection="category").fit(rows, number == 2)
    assert one.chosen_.tolist() == two.chosen_.tolist()
    bits = library.take(one.chosen_[:1]).encode(rows)[:, 0].astype(bool)
    agreement = (bits == (number == 2)).mean()
    assert max(agreement, 1 - agreement) > 0.8
    with pytest.raises(InputError, match="category 9"):
        UGH(library, 8, selection="category", category=9).fit(rows, number)
    with pytest.raises(InputError, match="selection 'best'"):
        UGH(library, selection="best").fit(rows, number)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="301 bits"):
        UGH(library, 301).fit(rows, number)
