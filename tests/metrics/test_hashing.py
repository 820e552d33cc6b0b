from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from handful.metrics.hashing import (
    average_precision,
    distance_counts,
    precision_at,
    precision_within,
)


def every_order(distances: np.ndarray, relevant: np.ndarray) -> list[np.ndarray]:
    """All rankings by distance, of all orders of those that are tied."""
    orders = permutations(range(len(distances)))
    return [relevant[list(o)] for o in orders if (np.diff(distances[list(o)]) >= 0).all()]


@pytest.mark.parametrize("seed", range(12))
def test_ties_count_by_the_mean_over_every_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, rng.integers(1, 5), 7)
    relevant = rng.random(7) < 0.5
    relevant[0] = True
    precisions, firsts = [], []
    for ranking in every_order(distances, relevant):
        precision = ranking.cumsum() / np.arange(1, 8)
        precisions.append(precision[ranking].mean())
        firsts.append(precision)
    counts = distance_counts(distances[None], relevant[None], 5)
    assert average_precision(*counts)[0] == pytest.approx(np.mean(precisions), abs=1e-12)
    expected = np.mean(firsts, axis=0)
    for k in range(1, 8):
        assert precision_at(*counts, k)[0] == pytest.approx(expected[k - 1], abs=1e-12)


def test_without_ties_it_is_the_usual_average_precision() -> None:
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    relevant = rng.random((20, 60)) < 0.3
    distances = np.argsort(rng.random((20, 60)), axis=1)
    found = average_precision(*distance_counts(distances, relevant, 60))
    usual = [average_precision_score(r, -d) for r, d in zip(relevant, distances, strict=True)]
    np.testing.assert_allclose(found, usual, atol=1e-12)


def test_counts_by_hand_and_a_large_database() -> None:
    rng = np.random.default_rng(1)
    distances, relevant = rng.integers(0, 17, (3, 500)), rng.random((3, 500)) < 0.2
    hits, total = distance_counts(distances, relevant, 17)
    for q in range(3):
        for d in range(17):
            assert total[q, d] == (distances[q] == d).sum()
            assert hits[q, d] == ((distances[q] == d) & relevant[q]).sum()
    # chance gives the share of relevant images, up to the first places
    many = np.full((1, 1), 5_000), np.full((1, 1), 50_000)
    assert average_precision(*many)[0] == pytest.approx(0.1, abs=5e-4)


def test_an_empty_ball_and_no_relevant_image_count_0() -> None:
    hits, total = np.array([[0, 0, 0, 3], [2, 0, 1, 0]]), np.array([[0, 0, 0, 5], [4, 0, 2, 9]])
    assert precision_within(hits, total).tolist() == [0.0, 0.5]
    assert precision_within(hits, total, radius=0).tolist() == [0.0, 0.5]
    assert average_precision([[0, 0]], [[3, 4]]).tolist() == [0.0]


def test_counts_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="hits <= total"):
        average_precision([[2]], [[1]])
    with pytest.raises(ValueError, match="not below 2"):
        distance_counts([[2]], [[True]], 2)
    with pytest.raises(ValueError, match="no more than the images"):
        precision_at([[1]], [[1]], 2)
