from __future__ import annotations

import numpy as np
import pytest

from handful.methods.hashing.platt import platt


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_scaling_of_scikit_learn(seed: int) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.svm import LinearSVC

    rng = np.random.default_rng(seed)
    positive = rng.random(150) < 0.3
    margins = rng.normal(size=150) + positive - 0.4
    svm = LinearSVC().fit(margins[:, None], positive)
    scaled = CalibratedClassifierCV(FrozenEstimator(svm), method="sigmoid")
    scaled.fit(margins[:, None], positive)
    sigmoid = scaled.calibrated_classifiers_[0].calibrators[0]
    slope, offset = svm.coef_[0, 0], svm.intercept_[0]
    # its 1 / (1 + exp(a (s m + o) + b)) in our form
    alpha, beta = platt(margins, positive)
    assert alpha == pytest.approx(-sigmoid.a_ * slope, rel=1e-3)
    expected = -(sigmoid.a_ * offset + sigmoid.b_) / (sigmoid.a_ * slope)
    assert beta == pytest.approx(expected, abs=2e-3)


def test_margins_that_say_the_opposite_turn_the_sign() -> None:
    margins = np.linspace(-1, 1, 40) + 0.3
    alpha, beta = platt(margins, margins < 0.3)
    assert alpha < 0
    assert beta == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize("value", [True, False])
def test_one_side_alone_leaves_the_hyperplane_where_it_is(value: bool) -> None:
    assert platt(np.array([0.5, 1.0]), np.array([value, value])) == (1.0, 0.0)
    assert platt(np.array([2.0, 2.0]), np.array([True, False])) == (1.0, 0.0)
