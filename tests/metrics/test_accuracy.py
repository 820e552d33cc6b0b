from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, t

from handful.metrics import accuracy, mean_interval, wilson_interval


@pytest.mark.parametrize(
    ("right", "total"), [(0, 1), (1, 1), (0, 40), (40, 40), (368, 400), (1910, 2000), (1, 7)]
)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_agrees_with_scipy(right: int, total: int, level: float) -> None:
    expected = binomtest(right, total).proportion_ci(level, method="wilson")
    assert wilson_interval(right, total, level) == pytest.approx(tuple(expected), abs=1e-12)


def test_mean_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).random(37)
    expected = t.interval(0.95, 36, loc=values.mean(), scale=values.std(ddof=1) / 37**0.5)
    assert mean_interval(values) == pytest.approx(tuple(expected), abs=1e-12)


def test_wilson_holds_the_truth_as_often_as_it_says() -> None:
    right = np.random.default_rng(0).binomial(200, 0.95, 2000)
    held = [low <= 0.95 <= high for low, high in (wilson_interval(int(k), 200) for k in right)]
    assert 0.93 < np.mean(held) < 0.975


def test_what_has_no_answer_is_refused() -> None:
    for right, total in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="right of"):
            wilson_interval(right, total)
    with pytest.raises(ValueError, match="not empty"):
        accuracy([], [])
    with pytest.raises(ValueError, match="equal"):
        accuracy([1], [1, 2])
    with pytest.raises(ValueError, match="at least two"):
        mean_interval([1.0])
