from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from handful.metrics import best_lists
from handful.metrics.best_lists import best_products
from handful.metrics.retrieval import inner_products, retrieve


def itself(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(rows)), rows


def lists(features: np.ndarray, length: int, unseen: Any = itself) -> tuple[Any, Any]:
    parts = list(best_products(features, unseen, length))
    assert [part.start for part, *_ in parts][:2] == [0, best_lists._ROWS]
    return np.concatenate([value for _, value, _ in parts]), np.concatenate([p for *_, p in parts])


@pytest.mark.parametrize("dense", [0.0, 1 / 16, 1.0], ids=["dense", "as is", "sparse"])
@pytest.mark.parametrize("order", ["drawn", "rising", "falling"])
def test_lists_are_the_heads_of_sorted_rows(
    monkeypatch: pytest.MonkeyPatch, dense: float, order: str
) -> None:
    monkeypatch.setattr(best_lists, "_ROWS", 17)
    monkeypatch.setattr(best_lists, "_DENSE", dense)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 5))
    if order != "drawn":  # every tile then beats, or is beaten by, all before it
        features = np.sort(np.abs(features), axis=0)[:: 1 if order == "rising" else -1]
    value, place = lists(features, 9)
    scores = features @ features.T
    np.fill_diagonal(scores, -np.inf)
    np.testing.assert_allclose(value, -np.sort(-scores, axis=1)[:, :9], rtol=1e-12)
    np.testing.assert_array_equal(place, np.argsort(-scores, axis=1)[:, :9])


def test_what_is_not_seen_is_in_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best_lists, "_ROWS", 8)
    group = np.arange(30) // 5
    features = np.random.default_rng(1).normal(size=(30, 4))

    def unseen(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        row, column = np.nonzero(group[rows, None] == group)
        return row, column

    value, place = lists(features, 30, unseen)
    assert (np.isfinite(value).sum(1) == 25).all()
    assert (group[place[:, :25]] != group[:, None]).all()


def test_products_that_are_not_finite_are_refused() -> None:
    features = np.ones((600, 2))
    features[599] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        list(best_products(features, itself, 3))


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("ks", [[1, 8], [2, 90, 1000]])
def test_retrieval_by_products_is_retrieval_by_rows(
    monkeypatch: pytest.MonkeyPatch, grouped: bool, ties: bool, ks: list[int]
) -> None:
    monkeypatch.setattr(best_lists, "_ROWS", 32)
    rng = np.random.default_rng(2)
    features = rng.integers(-1, 2, (150, 3 if ties else 40)).astype(float)
    features += 0 if ties else rng.normal(size=features.shape)
    labels = np.r_[rng.integers(0, 40, 148), 98, 99]
    groups = rng.integers(0, 60, 150) if grouped else None
    by_products = retrieve(inner_products(features), labels, ks, groups)
    by_rows = retrieve(features @ features.T, labels, ks, groups)
    np.testing.assert_array_equal(by_products.query, by_rows.query)
    np.testing.assert_allclose(by_products.recall, by_rows.recall, atol=1e-12)
    np.testing.assert_allclose(by_products.average_precision, by_rows.average_precision, atol=1e-12)
