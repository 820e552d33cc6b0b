from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from handful.metrics.ties import chance_within, count_above, precision_sums


@pytest.mark.parametrize(("tied", "hits"), [(1, 1), (4, 1), (5, 2), (4, 4), (6, 3)])
@pytest.mark.parametrize(("ahead", "found"), [(0, 0), (1, 0), (7, 3)])
def test_expectations_are_means_over_all_orders(
    ahead: int, found: int, tied: int, hits: int
) -> None:
    ks = np.array([1, 2, ahead + 1, ahead + 2, ahead + tied, 100])
    chances, after, middle = [], [], []
    for order in set(permutations([True] * hits + [False] * (tied - hits))):
        places = [ahead + j for j, hit in enumerate(order) if hit]
        chances.append([places[0] < k for k in ks])
        steps = [(found + i + 1) / (place + 1) for i, place in enumerate(places)]
        # precision before the first result of all is taken as 1
        earlier = [(found + i) / place if place else 1.0 for i, place in enumerate(places)]
        after.append(sum(steps))
        middle.append((sum(steps) + sum(earlier)) / 2)
    numbers = [np.array([n]) for n in (ahead, found, tied, hits)]
    sums = precision_sums(*numbers)
    assert sums[0][0] == pytest.approx(np.mean(after), rel=1e-12)
    assert sums[1][0] == pytest.approx(np.mean(middle), rel=1e-12)
    chance = chance_within(numbers[0], numbers[2], numbers[3], ks)
    np.testing.assert_allclose(chance, np.mean(chances, 0), atol=1e-12)


@pytest.mark.parametrize("width", [1, 8, 13, 5000])
def test_counts_are_those_of_numpy(width: int) -> None:
    scores = np.random.default_rng(width).integers(0, 3, (4, width)).astype(np.float32)
    value = np.array([0, 1, 2, 1], np.float32)
    above, level = count_above(scores, value)
    np.testing.assert_array_equal(above, (scores > value[:, None]).sum(1))
    np.testing.assert_array_equal(level, (scores == value[:, None]).sum(1))


def test_more_than_a_byte_holds_is_counted() -> None:
    above, level = count_above(np.ones((2, 5000)), np.array([0.5, 1.0]))
    assert (above.tolist(), level.tolist()) == ([5000, 0], [0, 5000])
