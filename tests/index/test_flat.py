"""Exact search on features against a plain computation in double precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from handful.errors import InputError
from handful.index import flat as flat_module
from handful.index.flat import Flat


def unit(rng: np.random.Generator, count: int, width: int) -> np.ndarray:
    rows = rng.normal(size=(count, width))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def brute(features: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Return 1 - cosine (Q, N), in double precision, to a millionth."""
    rows, asked = features.astype(np.float64), query.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    return np.stack([1 - (rows * q).sum(1) for q in asked]).round(6).clip(0)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_module, "BLOCK", 64)


@pytest.fixture
def rows() -> np.ndarray:
    """Vectors of few directions, very near each other, and many of them twice."""
    rng = np.random.default_rng(0)
    found = unit(rng, 12, 32)[rng.integers(0, 12, 500)] + 2e-3 * rng.normal(size=(500, 32))
    found[300:400] = found[100:200]
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float16)


@pytest.mark.parametrize("k", [1, 7, 150, 900])
def test_search_is_the_brute_force_one_with_ties_by_row(rows: np.ndarray, k: int) -> None:
    query = np.concatenate(
        [rows[[100, 3]].astype(np.float64), unit(np.random.default_rng(1), 2, 32)]
    )
    parts = [rows[:70], rows[70:71], rows[71:]]
    hits = Flat(parts).search(query, k)
    expected = brute(rows, query)
    order = np.argsort(expected, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(hits.rows, order)
    np.testing.assert_allclose(hits.distances, np.take_along_axis(expected, order, 1), atol=1e-9)
    # the pair that holds the same features comes in the order of the rows, at no distance
    assert hits.rows[0].tolist()[:2] == [100, 300][:k]
    assert hits.distances[0, 0] == 0


@pytest.mark.parametrize("radius", [0.0, 1e-5, 0.7, 2.0])
def test_range_is_the_brute_force_one(rows: np.ndarray, radius: float) -> None:
    query = np.concatenate([rows[[100]].astype(np.float64), unit(np.random.default_rng(1), 1, 32)])
    for found, away in zip(Flat([rows]).range(query, radius), brute(rows, query), strict=True):
        inside = np.flatnonzero(away <= radius)
        expected = inside[np.argsort(away[inside], kind="stable")]
        assert found[0].tolist() == expected.tolist()
        np.testing.assert_allclose(found[1], away[expected], atol=1e-9)


def test_an_empty_ball_is_empty(rows: np.ndarray) -> None:
    far = unit(np.random.default_rng(5), 1, 32)
    ((found, away),) = Flat([rows]).range(far, 0.01)
    assert (found.shape, away.shape) == ((0,), (0,))


def test_removed_and_added_rows(rows: np.ndarray) -> None:
    flat = Flat([rows])
    flat.remove([100, 300])
    assert (len(flat), flat.search(rows[[100]], 500).rows.shape) == (498, (1, 498))
    assert not set(flat.search(rows[[100]], 500).rows[0].tolist()) & {100, 300}
    new = flat.add(3 * rows[[100]].astype(np.float32))
    assert new.tolist() == [500]
    assert flat.search(rows[[100]], 1).rows.tolist() == [[500]]


def test_save_and_open(rows: np.ndarray, tmp_path: Path) -> None:
    flat = Flat([rows[:9], rows[9:]])
    flat.remove([3])
    flat.save(tmp_path / "flat.npz")
    again = Flat.open(tmp_path / "flat.npz")
    ours, theirs = flat.search(rows[[3]], 9), again.search(rows[[3]], 9)
    np.testing.assert_array_equal(ours.rows, theirs.rows)
    np.testing.assert_array_equal(ours.distances, theirs.distances)
    (tmp_path / "flat.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"flat\.npz"):
        Flat.open(tmp_path / "flat.npz")


def test_any_score_of_the_rows(rows: np.ndarray) -> None:
    flat = Flat([rows[:70], rows[70:]])
    flat.remove([2])
    weights = torch.arange(32).float()
    found = flat.score(lambda block: block @ weights)
    expected = rows.astype(np.float32) @ weights.numpy()
    expected[2] = -np.inf
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_asked(rows: np.ndarray) -> None:
    with pytest.raises(InputError, match="1 match"):
        Flat([rows]).search(rows[:1], 0)
    with pytest.raises(ValueError, match="finite"):
        Flat([rows]).search(np.full((1, 32), np.nan), 1)
    assert Flat([]).search(np.zeros((0, 3)), 1).rows.shape == (0, 0)
