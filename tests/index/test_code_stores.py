"""Every store of codes against the distances of all pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handful.errors import InputError
from handful.index import binary
from handful.index.binary import Exhaustive, InvertedLists
from handful.index.bucket import Bucket, MultiProbe
from handful.index.code_store import CodeStore, store_of
from handful.index.codes import gather, hamming, sliced_codes, turn
from handful.index.manifest import Stamp
from handful.index.store import Store

STORES: list[tuple[type[Any], int]] = [
    (Bucket, 3),
    (Bucket, 8),
    (Bucket, 16),
    (MultiProbe, 5),
    (MultiProbe, 17),
    (MultiProbe, 24),
    (MultiProbe, 32),
    (Exhaustive, 16),
    (Exhaustive, 64),
    (Exhaustive, 100),
    (Exhaustive, 256),
    (InvertedLists, 64),
]


@pytest.fixture(autouse=True)
def several_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "_LEAST_SHARD", 100)


def bits_of(seed: int, count: int, n_bits: int, centres: int = 6) -> np.ndarray:
    """Draw codes around a few centres, so that balls hold some and ties are many."""
    rng = np.random.default_rng(seed)
    middle = np.random.default_rng(99).random((centres, n_bits)) < 0.5
    return middle[rng.integers(0, centres, count)] ^ (rng.random((count, n_bits)) < 0.12)


def packed(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits, axis=1, bitorder="little")


def build(kind: type[Any], bits: np.ndarray) -> CodeStore:
    n_bits = bits.shape[1]
    if kind is InvertedLists:
        return InvertedLists(packed(bits), n_bits, lists=5, probes=5)
    if kind is Exhaustive:
        return Exhaustive(packed(bits), n_bits, shards=3)
    store: CodeStore = kind(packed(bits), n_bits)
    return store


def check(store: CodeStore, bits: np.ndarray, query: np.ndarray, alive: np.ndarray) -> None:
    """Compare with the distances of all pairs, k by k and radius by radius."""
    distance = (query[:, None] != bits[None]).sum(2)
    rows = np.flatnonzero(alive)
    order = [rows[np.argsort(away[rows], kind="stable")] for away in distance]
    for k in (1, 5, 60, len(bits) + 3):
        hits = store.search(packed(query), k)
        for place, expected in enumerate(order):
            away = distance[place][expected[:k]]
            np.testing.assert_array_equal(hits.distances[place], away)
            if not isinstance(store, InvertedLists) or k > len(expected):
                np.testing.assert_array_equal(hits.rows[place], expected[:k])
                continue
            # which of the ties at the end come is not promised there
            sure = away < away[-1]
            np.testing.assert_array_equal(hits.rows[place][sure], expected[:k][sure])
    for radius in (0, 2, bits.shape[1] // 3, bits.shape[1]):
        found = store.range(packed(query), radius)
        for place, expected in enumerate(order):
            inside = expected[distance[place][expected] <= radius]
            np.testing.assert_array_equal(found[place][0], inside)
            np.testing.assert_array_equal(found[place][1], distance[place][inside])


@pytest.mark.parametrize(("kind", "n_bits"), STORES)
def test_every_store_is_the_brute_force_one(kind: type[Any], n_bits: int, tmp_path: Path) -> None:
    bits, query = bits_of(0, 700, n_bits), bits_of(1, 4, n_bits)
    query[0] = ~bits[0]
    alive = np.ones(700, bool)
    store = build(kind, bits)
    check(store, bits, query, alive)
    gone = np.arange(0, 700, 3)
    store.remove(gone)
    alive[gone] = False
    assert len(store) == alive.sum()
    check(store, bits, query, alive)
    more = bits_of(2, 50, n_bits)
    assert store.add(packed(more)).tolist() == list(range(700, 750))
    bits, alive = np.concatenate([bits, more]), np.concatenate([alive, np.ones(50, bool)])
    check(store, bits, query, alive)
    store.save(tmp_path / "codes")
    again = kind.open(tmp_path / "codes")
    if kind is InvertedLists:
        again.probes = 5
    check(again, bits, query, alive)
    assert again.add(packed(more)).tolist() == list(range(750, 800))


@pytest.mark.parametrize(("kind", "n_bits"), STORES)
def test_a_store_of_nothing_and_a_file_of_something_else(
    kind: type[Any], n_bits: int, tmp_path: Path
) -> None:
    store = build(kind, bits_of(0, 20, n_bits))
    store.remove(np.arange(20))
    query = packed(bits_of(1, 2, n_bits))
    assert store.search(query, 3).rows.shape == (2, 0)
    assert [len(rows) for rows, _ in store.range(query, n_bits)] == [0, 0]
    with pytest.raises(InputError, match="1 match"):
        store.search(query, 0)
    with pytest.raises(ValueError, match="codes"):
        store.add(np.zeros((2, 99), np.uint8))
    (tmp_path / "bad").write_bytes(b"no store at all")
    with pytest.raises(InputError, match="bad"):
        kind.open(tmp_path / "bad")


def test_many_ties_beyond_the_end_come_by_row() -> None:
    # all codes equal: every answer is a matter of order alone
    for n_bits in (8, 24, 64, 256):
        store = store_of(np.zeros((5000, n_bits // 8), np.uint8), n_bits)
        store.remove([1])
        hits = store.search(np.full((1, n_bits // 8), 255, np.uint8), 20)
        assert hits.rows[0].tolist() == [0, *range(2, 21)]
        assert hits.distances[0].tolist() == [n_bits] * 20


def test_two_tables_look_at_few_where_few_are_near() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (200_000, 4), dtype=np.uint8)
    store = MultiProbe(codes, 32)
    store.search(codes[:1], 1)
    looked = [len(rows) for _, rows in store._growing(store.numbers[7])]
    assert looked[2] < 500
    assert looked[-1] == 200_000


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("width", [1, 5, 200])
def test_turning_slices_is_a_transposition(count: int, width: int) -> None:
    rng = np.random.default_rng(count + width)
    slices = rng.integers(0, 256, (count, width), dtype=np.uint8)
    bits = np.unpackbits(slices, axis=1, bitorder="little")
    np.testing.assert_array_equal(turn(slices), packed(bits.T)[:, 0])


def test_the_distance_of_two_codes() -> None:
    bits = bits_of(0, 40, 77)
    expected = (bits[3] != bits).sum(1)
    np.testing.assert_array_equal(hamming(packed(bits)[3], packed(bits)), expected)


def test_codes_of_an_index_are_read_function_by_function(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 6)).astype(np.float16)
    planes = rng.normal(size=(6, 30))
    store = Store.create(tmp_path, {})
    calls = []

    def encode(rows: np.ndarray) -> np.ndarray:
        calls.append(len(rows))
        return packed((rows.astype(np.float64) @ planes > 0).T)

    with store.writing():
        for start, end in ((0, 13), (13, 50)):
            found = [(Stamp(str(i), 1, 1), b"") for i in range(start, end)]
            store.append(found, features[start:end])
    snapshot = store.snapshot()
    which = [29, 0, 7, 7, 11, 3, 2, 1, 4, 20]
    expected = packed((features.astype(np.float64) @ planes > 0)[:, which])
    for _ in range(2):
        slices = sliced_codes(tmp_path, snapshot, "lib", encode, 30)
        np.testing.assert_array_equal(gather(slices, [13, 37], which), expected)
    assert calls == [13, 37]  # the second time they are read
    (tmp_path / "codes-lib-000001.npy").write_bytes(b"half of it")
    np.testing.assert_array_equal(
        gather(sliced_codes(tmp_path, snapshot, "lib", encode, 30), [13, 37], which), expected
    )
    assert calls == [13, 37, 13]
