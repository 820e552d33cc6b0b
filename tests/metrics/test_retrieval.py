from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from handful.metrics import inner_products, recall_at_k, retrieval, retrieve, wilson_interval


def by_hand(
    scores: np.ndarray, labels: np.ndarray, ks: list[int]
) -> tuple[list[list[bool]], list[float]]:
    """Sort every row in float64 and count; no ties."""
    recalls, precisions = [], []
    for i in range(len(labels)):
        mates = int((labels == labels[i]).sum()) - 1
        if not mates:
            continue
        others = [j for j in range(len(labels)) if j != i]
        others.sort(key=lambda j: -scores[i, j])
        hits = [labels[j] == labels[i] for j in others]
        recalls.append([any(hits[:k]) for k in ks])
        total = sum(sum(hits[: r + 1]) / (r + 1) for r in range(mates) if hits[r])
        precisions.append(total / mates)
    return recalls, precisions


def unit(rng: np.random.Generator, count: int, width: int) -> np.ndarray:
    features = rng.normal(size=(count, width))
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True))


def test_agrees_with_sorting_every_row_in_double_precision() -> None:
    rng = np.random.default_rng(0)
    features, labels = unit(rng, 80, 8), rng.integers(0, 9, 80)
    labels[:2] = [50, 60]  # two that are alone in their class
    ks = [1, 2, 4, 8]
    recalls, precisions = by_hand(features @ features.T, labels, ks)
    found = retrieve(inner_products(features.astype(np.float32)), labels, ks)
    assert found.query.tolist() == list(range(2, 80))
    np.testing.assert_array_equal(found.recall, recalls)
    np.testing.assert_allclose(found.average_precision, precisions, rtol=1e-12)
    assert recall_at_k(features @ features.T, labels, ks) == {
        k: np.mean(column) for k, column in zip(ks, zip(*recalls, strict=True), strict=True)
    }


def test_ties_count_as_the_mean_over_all_orders() -> None:
    rng = np.random.default_rng(1)
    labels = np.array(["a", "a", "a", "b", "b", "c"])
    scores = rng.integers(0, 3, (6, 6)).astype(float)
    ks = [1, 2, 3, 5]
    found = retrieve(scores, labels, ks)
    recalls, precisions = [], []
    for order in permutations(range(6)):
        nudge = np.argsort(order) * 1e-3  # every order among equal scores is as likely
        one = by_hand(scores + nudge, labels, ks)
        recalls.append(one[0])
        precisions.append(one[1])
    np.testing.assert_allclose(found.recall, np.mean(recalls, 0), atol=1e-12)
    np.testing.assert_allclose(found.average_precision, np.mean(precisions, 0), atol=1e-12)
    assert not np.isin(found.recall, [0, 1]).all()


def test_the_order_of_the_files_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    scores, labels = rng.integers(0, 4, (40, 40)), rng.integers(0, 6, 40)
    shuffled = rng.permutation(40)
    first, second = (
        retrieve(scores, labels),
        retrieve(scores[shuffled][:, shuffled], labels[shuffled]),
    )
    assert first.map_at_r == pytest.approx(second.map_at_r, abs=1e-12)
    assert first.recall_at(1) == pytest.approx(second.recall_at(1), abs=1e-12)


def test_tiles_change_nothing_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    features, labels = unit(rng, 50, 4), np.r_[rng.integers(0, 8, 49), 99]
    whole = retrieve(inner_products(features), labels)
    monkeypatch.setattr(retrieval, "_TILE", 350)
    asked = []

    def rows(part: slice) -> np.ndarray:
        asked.append(part.stop - part.start)
        return np.asarray(features[part] @ features.T)

    tiled = retrieve(rows, labels)
    np.testing.assert_array_equal(tiled.recall, whole.recall)
    np.testing.assert_allclose(tiled.average_precision, whole.average_precision, rtol=1e-12)
    assert asked == [7] * 7  # no tile for the last, which is alone in its class


def test_a_large_group_of_ties_stays_exact() -> None:
    # all 2,000 are tied: one mate among 1,999 others, found by the first k with chance k / 1,999
    found = retrieve(np.zeros((2000, 2000), np.float32), np.arange(2000) // 2, [1, 8])
    assert found.recall_at(8) == pytest.approx(8 / 1999, rel=1e-9)
    assert found.map_at_r == pytest.approx(1 / 1999, rel=1e-9)


def test_a_perfect_embedding_and_its_interval() -> None:
    labels = np.repeat(np.arange(5), 4)
    found = retrieve(inner_products(np.eye(5)[labels]), labels, [1])
    assert (found.recall_at(1), found.map_at_r) == (1.0, 1.0)
    assert found.interval_at(1) == wilson_interval(20, 20)


def test_the_score_against_oneself_is_not_looked_at() -> None:
    scores = np.array([[np.nan, 1.0, 0.0], [0.0, np.inf, 1.0], [1.0, 0.0, 0.0]])
    assert recall_at_k(scores, ["a", "a", "b"], [1]) == {1: 0.5}


@pytest.mark.parametrize(
    ("scores", "labels", "ks"),
    [
        (np.zeros((2, 3)), ["a", "a"], [1]),
        (np.zeros((2, 2)), ["a", "b"], [1]),
        (np.zeros((2, 2)), ["a", "a"], [0]),
        (np.full((2, 2), np.nan), ["a", "a"], [1]),
        (lambda part: np.zeros((1, 2)), ["a", "a", "a"], [1]),
    ],
)
def test_what_cannot_be_measured_is_refused(
    scores: object, labels: list[str], ks: list[int]
) -> None:
    with pytest.raises(ValueError):
        retrieve(scores, labels, ks)  # type: ignore[arg-type]


def test_an_image_does_not_see_its_own_group() -> None:
    rng = np.random.default_rng(5)
    labels, groups = rng.integers(0, 4, 60), rng.integers(0, 15, 60)
    scores = rng.normal(size=(60, 60))
    found = retrieve(scores, labels, [1, 4], groups)
    for row, i in enumerate(found.query):
        seen = np.flatnonzero(groups != groups[i])
        right = (labels[seen] == labels[i])[np.argsort(-scores[i, seen])]
        count = int(right.sum())
        assert found.recall[row].tolist() == [right[:1].any(), right[:4].any()]
        precision = right[:count] * np.cumsum(right[:count]) / np.arange(1, count + 1)
        assert found.average_precision[row] == pytest.approx(precision.mean())
    alone = retrieve(scores, labels, [1], np.arange(60))
    np.testing.assert_array_equal(alone.recall, retrieve(scores, labels, [1]).recall)
    with pytest.raises(ValueError, match="groups"):
        retrieve(scores, labels, [1], groups[1:])


@pytest.mark.parametrize("levels", [3, 40, 10_000])
@pytest.mark.parametrize("length", [1, 8, 64])
def test_lists_that_are_shorter_than_what_is_asked_for_change_nothing(
    monkeypatch: pytest.MonkeyPatch, length: int, levels: int
) -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 30, 150)
    scores = rng.integers(0, levels, (150, 150)).astype(float)
    ks = [1, 3, 20, 100, 1000]
    whole = retrieve(scores, labels, ks)
    monkeypatch.setattr(retrieval, "_LIST", length)
    listed = retrieve(scores, labels, ks)
    np.testing.assert_allclose(listed.recall, whole.recall, atol=1e-12)
    for row, i in enumerate(listed.query):  # against the definition: the best of the class
        mates = np.flatnonzero((labels == labels[i]) & (np.arange(150) != i))
        others = np.delete(scores[i], i)
        top = scores[i, mates].max()
        certain = (others > top).sum() + (others == top).sum()
        for k, chance in zip(ks, listed.recall[row], strict=True):
            assert (chance == 1) == (k > certain - (scores[i, mates] == top).sum())
            assert (chance == 0) == (k <= (others > top).sum())
