from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc

from handful.metrics import auroc, balanced_accuracy, equal_error_rate, roc_curve

few_values = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=30)


@given(few_values, few_values)
def test_curve_area_and_accuracy_agree_with_sklearn_under_ties(
    positive: list[float], negative: list[float]
) -> None:
    truth = [1] * len(positive) + [0] * len(negative)
    scores = positive + negative
    assert auroc(positive, negative) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    expected = sklearn_roc(truth, scores, drop_intermediate=False)
    for mine, other in zip(roc_curve(positive, negative), expected, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-12)
    expected_accuracy = balanced_accuracy_score(truth, np.array(scores) >= 3)
    assert balanced_accuracy(positive, negative, 3) == pytest.approx(expected_accuracy, abs=1e-12)


@given(few_values, few_values)
def test_equal_error_lies_on_the_curve(positive: list[float], negative: list[float]) -> None:
    rate = equal_error_rate(positive, negative)
    false, true, _ = roc_curve(positive, negative)
    start, step = np.c_[false, true][:-1], np.diff(np.c_[false, true], axis=0)
    point = np.array([rate, 1 - rate])
    along = ((point - start) * step).sum(1) / (step**2).sum(1)
    nearest = start + np.clip(along, 0, 1)[:, None] * step
    assert np.hypot(*(nearest - point).T).min() == pytest.approx(0, abs=1e-9)


def test_equal_error_of_two_gaussians() -> None:
    rng = np.random.default_rng(0)
    rate = equal_error_rate(rng.normal(2, 1, 50_000), rng.normal(0, 1, 50_000))
    # the curves cross half way: the normal tail above one standard deviation
    assert rate == pytest.approx(0.15866, abs=0.003)


@pytest.mark.parametrize("bad", [[], [[1.0]], [float("nan")]])
def test_scores_that_mean_nothing_are_refused(bad: list[float]) -> None:
    for function in (auroc, roc_curve, equal_error_rate):
        with pytest.raises(ValueError, match="without NaN"):
            function(bad, [1.0])
