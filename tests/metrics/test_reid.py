from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

from handful.metrics import reid, wilson_interval
from handful.metrics.reid import Reidentification, reidentify

KS = [1, 5, 10]
Arrays = dict[str, Any]


def by_hand(scores: np.ndarray, people: Arrays, ks: list[int] = KS) -> list[list[float]]:
    """Sort every row in float64, take out, count; no ties. Rows of CMC, AP, trapezoidal AP."""
    rows = []
    for q, (who, camera) in enumerate(
        zip(people["query_identity"], people["query_camera"], strict=True)
    ):
        order = sorted(range(scores.shape[1]), key=lambda g: -float(scores[q, g]))
        hits = []
        for g in order:
            same = people["gallery_identity"][g] == who
            if people["gallery_identity"][g] == -1:
                continue
            if same and people["gallery_camera"][g] == camera:
                continue
            hits.append(same)
        total = sum(hits)
        if not total:
            continue
        steps = trapezoid = 0.0
        recall, precision = 0.0, 1.0
        for place in range(len(hits)):
            found = sum(hits[: place + 1])
            if hits[place]:
                steps += found / (place + 1) / total
            trapezoid += (found / total - recall) * (precision + found / (place + 1)) / 2
            recall, precision = found / total, found / (place + 1)
        rows.append([*(float(any(hits[:k])) for k in ks), steps, trapezoid])
    return rows


def draw(
    seed: int, queries: int = 40, gallery: int = 120, ties: bool = False
) -> tuple[np.ndarray, Arrays]:
    """A gallery of 6 identities by 3 cameras, with junk (-1) and distractors (0)."""
    rng = np.random.default_rng(seed)
    people = {
        "query_identity": rng.integers(1, 8, queries),
        "gallery_identity": rng.integers(-1, 7, gallery),  # nobody is identity 7
        "query_camera": rng.integers(0, 3, queries),
        "gallery_camera": rng.integers(0, 3, gallery),
    }
    scores = rng.normal(size=(queries, gallery))
    scores += people["query_identity"][:, None] == people["gallery_identity"]
    return (scores.round(0) if ties else scores), people


def rows_of(found: Reidentification) -> np.ndarray:
    return np.column_stack([found.cmc, found.average_precision, found.trapezoid])


@pytest.mark.parametrize("many", [64, 2], ids=["by comparing", "by sorting"])
@pytest.mark.parametrize("tile", [1 << 20, 500])
def test_agrees_with_a_loop_over_the_queries(
    monkeypatch: pytest.MonkeyPatch, tile: int, many: int
) -> None:
    monkeypatch.setattr(reid, "_TILE", tile)
    monkeypatch.setattr(reid, "_MANY", many)
    scores, people = draw(0)
    found = reidentify(scores, **people, ks=KS)
    expected = by_hand(scores, people)
    np.testing.assert_allclose(rows_of(found), expected, atol=1e-12)
    assert set(found.query) == set(np.flatnonzero(people["query_identity"] < 7))
    assert found.map == pytest.approx(np.mean(expected, 0)[3], abs=1e-12)
    assert found.cmc_at(5) == pytest.approx(np.mean(expected, 0)[1], abs=1e-12)
    assert found.interval_at(1) == wilson_interval(int(found.cmc[:, 0].sum()), len(found.query))


def test_single_precision_and_rows_on_demand_are_the_same() -> None:
    scores, people = draw(1)
    whole = reidentify(scores, **people, ks=KS)
    demanded = reidentify(lambda query: scores[query].astype(np.float32), **people, ks=KS)
    np.testing.assert_allclose(rows_of(demanded), rows_of(whole), atol=1e-12)


@pytest.mark.parametrize("many", [64, 1], ids=["by comparing", "by sorting"])
def test_ties_count_as_the_mean_over_all_orders(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr(reid, "_MANY", many)
    scores, people = draw(2, queries=6, gallery=6, ties=True)
    people["gallery_identity"] = np.array([1, 1, 2, 2, 0, 1])
    people["query_identity"] = np.array([1, 2, 1, 2, 1, 2])
    people["gallery_camera"] = np.array([0, 1, 0, 1, 0, 2])
    rows = [
        by_hand(scores + np.argsort(order) * 1e-3, people, [1, 2, 3])
        for order in permutations(range(6))
    ]
    found = reidentify(scores, **people, ks=[1, 2, 3])
    np.testing.assert_allclose(rows_of(found), np.mean(rows, 0), atol=1e-12)
    assert not np.isin(found.cmc, [0, 1]).all()


def test_without_ties_average_precision_is_that_of_scikit_learn() -> None:
    scores, people = draw(3)
    del people["query_camera"], people["gallery_camera"]
    people["gallery_identity"][people["gallery_identity"] == -1] = 0
    found = reidentify(scores, **people)
    right = people["query_identity"][found.query, None] == people["gallery_identity"]
    expected = [
        average_precision_score(r, s) for r, s in zip(right, scores[found.query], strict=True)
    ]
    np.testing.assert_allclose(found.average_precision, expected, atol=1e-12)
    ranking = label_ranking_average_precision_score(right, scores[found.query])
    assert found.map == pytest.approx(ranking, abs=1e-12)


def test_every_image_queries_all_others() -> None:
    rng = np.random.default_rng(4)
    who = rng.integers(0, 5, 30)
    scores = rng.normal(size=(30, 30))
    scores += 10 * np.eye(30)  # an image finds itself first, where that is not taken out
    camera = np.arange(30)  # all differ but each from itself
    itself = reidentify(scores, who, who, same_image=np.arange(30), junk=None)
    cameras = reidentify(scores, who, who, camera, camera, junk=None)
    np.testing.assert_array_equal(rows_of(itself), rows_of(cameras))
    assert itself.map < reidentify(scores, who, who, junk=None).map


def test_what_is_taken_out_may_have_any_score() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6]])
    for junk_score in (-5.0, 5.0):
        scores[0, 3] = junk_score
        found = reidentify(scores, ["b"], ["b", "a", "b", "x"], [1], [1, 1, 2, 2], [1, 2], "x")
        assert (found.cmc_at(1), found.cmc_at(2), found.map) == (0, 1, 0.5)
        assert found.trapezoid[0] == pytest.approx(0.25)


def test_what_was_given_is_left_as_it_was() -> None:
    scores, people = draw(5)
    before = scores.copy()
    reidentify(scores, **people)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"similarity": np.zeros((2, 2))}, "one score for each of"),
        ({"similarity": lambda query: np.zeros((1, 1))}, "queries by 3 of the gallery"),
        ({"similarity": np.full((2, 3), np.nan)}, "not finite"),
        ({"query_identity": [8, 9]}, "nothing can be found"),
        ({"query_camera": [1, 1]}, "both or neither"),
        ({"query_camera": [1], "gallery_camera": [1, 2, 3]}, "one each"),
        ({"gallery_identity": []}, "one row each"),
        ({"ks": [0]}, "at least 1"),
        ({"same_image": [0, 3]}, "beyond the gallery"),
    ],
)
def test_what_cannot_be_measured_is_refused(change: Arrays, why: str) -> None:
    given: Arrays = {"similarity": np.zeros((2, 3)), "query_identity": [1, 2]}
    with pytest.raises(ValueError, match=why):
        reidentify(**(given | {"gallery_identity": [1, 2, 3]} | change))
