"""Retrieval apart from one's own group, against counting by hand and against plain retrieval."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from handful.metrics import retrieve
from handful.metrics.apart import retrieve_apart

KS = [1, 2, 4]


def test_without_groups_it_is_plain_retrieval() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 12, (150, 150)).astype(float)  # many ties
    labels = np.r_[rng.integers(0, 9, 149), 99]
    plain = retrieve(scores, labels, KS)
    apart = retrieve_apart(lambda part: scores[part], labels, np.arange(150), KS)
    np.testing.assert_array_equal(apart.query, plain.query)
    np.testing.assert_allclose(apart.recall, plain.recall, atol=1e-12)
    np.testing.assert_allclose(apart.average_precision, plain.average_precision, atol=1e-12)


def test_agrees_with_counting_without_the_own_group() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(90, 90))
    labels, groups = rng.integers(0, 6, 90), rng.integers(0, 25, 90)
    found = retrieve_apart(lambda part: scores[part], labels, groups, KS)
    row = 0
    for i in range(90):
        others = [j for j in range(90) if groups[j] != groups[i]]
        hits = [labels[j] == labels[i] for j in sorted(others, key=lambda j: -scores[i, j])]
        total = sum(hits)
        if not total:
            continue
        assert found.query[row] == i
        assert found.recall[row].tolist() == [float(any(hits[:k])) for k in KS]
        precision = sum(sum(hits[: r + 1]) / (r + 1) for r in range(total) if hits[r]) / total
        assert found.average_precision[row] == pytest.approx(precision)
        row += 1
    assert row == len(found.query)


def test_ties_count_by_their_mean_over_all_orders() -> None:
    labels, groups = np.array([0, 0, 0, 1, 1, 0, 1]), np.array([0, 0, 1, 2, 3, 4, 5])
    scores = np.array([9.0, 9.0, 3.0, 3.0, 3.0, 1.0, 1.0])
    table = np.tile(scores, (7, 1))
    found = retrieve_apart(lambda part: table[part], labels, groups, KS)
    recalls, precisions = [], []
    for order in permutations(range(2, 7)):
        order_ = sorted(order, key=lambda j: -scores[j])  # stable: ties as permuted
        hits = [labels[j] == 0 for j in order_]
        recalls.append([any(hits[:k]) for k in KS])
        precisions.append(sum(sum(hits[: r + 1]) / (r + 1) for r in range(2) if hits[r]) / 2)
    np.testing.assert_allclose(found.recall[0], np.mean(recalls, 0))
    assert found.average_precision[0] == pytest.approx(np.mean(precisions))


def test_nothing_to_find() -> None:
    with pytest.raises(ValueError, match="different groups"):
        retrieve_apart(lambda part: np.eye(3)[part], ["a", "a", "b"], [1, 1, 2])
    with pytest.raises(ValueError, match="finite"):
        retrieve_apart(lambda part: np.full((2, 2), np.nan)[part], ["a", "a"], [1, 2])
    with pytest.raises(ValueError, match="labels"):
        retrieve_apart(lambda part: np.eye(2)[part], ["a", "a"], [1])
