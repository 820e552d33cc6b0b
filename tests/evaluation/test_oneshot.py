from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from handful.data.episodes import Episodes
from handful.evaluation.oneshot import (
    assignment_accuracy,
    by_group,
    closed_set,
    nested_accuracy,
    query_rows,
    rejection,
    verification,
)
from handful.methods import Calibration

PATHS = tuple(f"{'ab'[i % 2]}/{i}.png" for i in range(12))
CALIBRATION = Calibration(slope=2.0, offset=0.3, temperature=1.0, reject=0.7, verify=0.6)


def trials(count: int, ways: int = 4, absent: bool = True) -> tuple[np.ndarray, Episodes]:
    """Random scores of one known and one unknown query a trial; some unknown ones absent."""
    rng = np.random.default_rng(count)
    query = rng.integers(0, 12, (count, 2))
    if absent:
        query[::5, 1] = -1
    target = np.c_[rng.integers(0, ways, count), np.full(count, -1)]
    support = rng.permuted(np.tile(np.arange(12), (count, 1)), axis=1)[:, :ways, None]
    scores = rng.normal(size=(count, 2, ways)).round(1)
    scores[np.arange(count), 0, target[:, 0]] += 1
    scores[query < 0] = np.nan
    return scores, Episodes(support, query, target, PATHS, "p")


def test_accuracy_counts_known_queries_alone() -> None:
    scores, episodes = trials(100)
    right = sum(scores[t, 0].argmax() == episodes.target[t, 0] for t in range(100))
    metrics = closed_set(scores, episodes)
    assert metrics["accuracy"] == right / 100
    low, high = metrics["interval"]
    assert low < right / 100 < high
    groups = by_group(scores, episodes, lambda path: path[0])
    size = np.bincount(episodes.query[:, 0] % 2)
    assert (groups["a"] * size[0] + groups["b"] * size[1]) == pytest.approx(right)


def test_rejection_counts_trials_that_ask_both_kinds(dots: Any) -> None:
    scores, episodes = trials(100)
    answer = rejection(dots(calibration=CALIBRATION), scores, episodes)
    assert answer is not None
    best, truth, right = [], [], []
    for t in range(100):
        if episodes.query[t, 1] < 0:
            continue
        for q in range(2):
            best.append(scores[t, q].max())
            truth.append(q == 0)
            accepted = 1 / (1 + np.exp(-(2 * best[-1] + 0.3))) >= 0.7
            named = scores[t, q].argmax() == episodes.target[t, q]
            right.append(accepted and named if q == 0 else not accepted)
    assert answer["n"] == len(best) == 160
    assert answer["auroc"] == pytest.approx(roc_auc_score(truth, best))
    assert answer["accuracy"] == pytest.approx(np.mean(right))
    assert answer["threshold"] == 0.7


def test_without_calibration_nothing_is_measured_at_a_threshold(dots: Any) -> None:
    scores, episodes = trials(50)
    answer = rejection(dots(), scores, episodes)
    assert answer is not None
    assert (answer["accuracy"], answer["threshold"]) == (None, None)
    pairs = verification(dots(), np.arange(4.0), np.array([False, True, False, True]))
    assert (pairs["accuracy"], pairs["threshold"]) == (None, None)
    assert pairs["auc"] == 0.75


def test_without_strangers_there_is_no_rejection(dots: Any) -> None:
    scores, episodes = trials(10)
    alone = Episodes(episodes.support, episodes.query[:, :1], episodes.target[:, :1], PATHS)
    assert rejection(dots(), scores[:, :1], alone) is None


def test_verification_at_the_threshold(dots: Any) -> None:
    rng = np.random.default_rng(0)
    same = rng.random(200) < 0.5
    scores = rng.normal(size=200) + same
    answer = verification(dots(calibration=CALIBRATION), scores, same)
    yes = 1 / (1 + np.exp(-(2 * scores + 0.3))) >= 0.6
    assert answer["accuracy"] == pytest.approx((yes == same).mean())
    assert answer["auc"] == pytest.approx(roc_auc_score(same, scores))
    assert answer["n"] == 200


def test_assignment_is_the_best_permutation() -> None:
    rng = np.random.default_rng(0)
    target = np.stack([rng.permutation(5) for _ in range(8)])
    scores = rng.normal(size=(8, 5, 5))
    scores[np.arange(8)[:, None], np.arange(5), target] += 1
    right = 0
    for score, truth in zip(scores, target, strict=True):
        best = max(permutations(range(5)), key=lambda p: sum(score[q, c] for q, c in enumerate(p)))
        right += (np.array(best) == truth).sum()
    support, query = np.zeros((8, 5, 1), int), np.zeros((8, 5), int)
    assert assignment_accuracy(scores, Episodes(support, query, target)) == right / 40
    assert right / 40 > (scores.argmax(-1) == target).mean()


def test_fewer_ways_drop_classes_from_the_end() -> None:
    rng = np.random.default_rng(0)
    scores, target = rng.normal(size=(300, 6)), rng.integers(0, 6, 300)
    scores[np.arange(300), target] += 0.7
    for ways in range(2, 7):
        right = 0
        for score, truth in zip(scores, target, strict=True):
            wrong = [score[c] for c in range(6) if c != truth][: ways - 1]
            right += score[truth] > max(wrong)
        assert nested_accuracy(scores, target, ways) == (right, 300)


def test_rows_tell_every_query(dots: Any) -> None:
    scores, episodes = trials(20)
    rows = query_rows(dots(calibration=CALIBRATION), scores, episodes, str, lambda p: p[0])
    assert len(rows) == 36
    known = [row for row in rows if row["truth"] is not None]
    assert len(known) == 20
    assert np.mean([row["correct"] for row in known]) == closed_set(scores, episodes)["accuracy"]
    for row in rows:
        assert row["group"] == row["query"][0]
        assert row["correct"] == (
            row["predicted"] == row["truth"] if row["truth"] else row["score"] < 0.7
        )
    uncalibrated = query_rows(dots(), scores, episodes, str, str)
    assert {row["correct"] for row in uncalibrated if row["truth"] is None} == {None}
