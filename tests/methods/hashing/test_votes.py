"""Votes of functions, against sums of signs in plain whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

from handful.methods.hashing import pack, unpack
from handful.methods.hashing.votes import LARGEST, Votes, fit_levels, fit_scores


@pytest.mark.parametrize("count", [1, 8, 100, 40_001])
def test_packed_votes_are_the_unpacked_ones(count: int) -> None:
    rng = np.random.default_rng(count)
    bits = rng.random((30, count)) < 0.4
    weights, thresholds = rng.integers(-1270, 1270, (30, 11)), rng.integers(-4000, 4000, 11)
    # a sum that equals its threshold is below it
    thresholds[0] = np.where(bits[:, 0], 1, -1) @ weights[:, 0]
    codes = Votes(np.arange(30), weights, thresholds).encode(pack(bits), count)
    expected = np.where(bits, 1, -1).T @ weights > thresholds
    np.testing.assert_array_equal(unpack(codes, 11), expected)
    assert not expected[0, 0]


def test_scores_are_the_weighted_ridge_regression() -> None:
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], (20, 300)).astype(np.float32)
    wanted, weights = rng.normal(size=(300, 3)) + signs[:3].T, rng.random(300)
    weights /= weights.sum()
    fitted = fit_scores(signs, wanted, weights, 20, 0.1)
    order = fitted.functions
    assert sorted(order) == list(range(20))
    table = signs[order].T - weights @ signs[order].T
    gram = table.T @ (weights[:, None] * table) + 0.1 * np.eye(20)
    exact = np.linalg.solve(gram, table.T @ (weights[:, None] * (wanted - weights @ wanted)))
    assert np.abs(fitted.weights).max() == LARGEST
    np.testing.assert_allclose(fitted.scale * fitted.weights, exact, atol=0.51 * fitted.scale)
    np.testing.assert_allclose(weights @ fitted(signs), weights @ wanted, atol=1e-6)


def test_the_functions_that_tell_most_are_taken_up() -> None:
    rng = np.random.default_rng(1)
    signs = rng.choice([-1.0, 1.0], (500, 400)).astype(np.float32)
    known = [3, 77, 200, 431]
    wanted = (signs[known].T @ np.array([1.0, -2.0, 1.5, 1.0]))[:, None]
    fitted = fit_scores(signs, wanted, np.full(400, 1 / 400), 16, 1e-6)
    assert set(known) <= set(fitted.functions.tolist())
    np.testing.assert_allclose(fitted(signs), wanted, atol=0.2)


def test_bits_of_scores_are_where_the_scores_are_above() -> None:
    rng = np.random.default_rng(2)
    signs = rng.choice([-1.0, 1.0], (40, 200)).astype(np.float32)
    fitted = fit_scores(signs, rng.normal(size=(200, 2)), np.full(200, 1 / 200), 24, 0.1)
    mixture, cuts = np.array([[1.0, -1.0, 0.0], [1.0, 1.0, -1.0]]), np.array([0.1, 0.0, -0.2])
    votes = fitted.bits(mixture, cuts)
    codes = votes.encode(pack(signs[votes.functions] > 0), 200)
    np.testing.assert_array_equal(unpack(codes, 3), fitted(signs) @ mixture > cuts)


def test_levels_cut_a_score_finest_at_its_top() -> None:
    rng = np.random.default_rng(3)
    rows, planes = rng.normal(size=(1000, 8)), rng.normal(size=(400, 8))
    signs = np.where(planes @ rows.T > 0, np.float32(1), np.float32(-1))
    wanted = rows[:, 0] / np.linalg.norm(rows, axis=1)
    votes, levels = fit_levels(signs, wanted, 8, 400, 0.1)
    bits = unpack(votes.encode(pack(signs[votes.functions] > 0), 1000), 8)
    shares = bits.mean(0)
    np.testing.assert_allclose(shares, np.geomspace(0.5, 0.001, 8), atol=2e-3)
    assert np.all(bits[:, 1:] <= bits[:, :-1])
    assert np.all(np.diff(levels) <= 0)
    away = 8 - bits.sum(1)
    assert levels[8] == pytest.approx(wanted[away == 8].mean())
    assert np.corrcoef(levels[away], wanted)[0, 1] > 0.85


def test_a_score_that_is_the_same_for_all_has_one_level() -> None:
    signs = np.ones((5, 4), np.float32)
    votes, levels = fit_levels(signs, np.full(4, 0.25), 3, 5, 0.1)
    assert levels.tolist() == [0.25] * 4
    assert len(np.unique(votes.encode(pack(signs > 0), 4))) == 1
