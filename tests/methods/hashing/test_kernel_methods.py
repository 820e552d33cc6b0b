"""KSH and SDH against enumeration and finite differences."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import check_grad

from handful.methods.hashing import KSH, SDH, unpack
from handful.methods.hashing.kernel import squared_distances
from handful.methods.hashing.ksh import learn_bit, smooth_loss
from handful.methods.hashing.sdh import classify, discrete_step

Clusters = tuple[NDArray[np.float64], NDArray[np.int64]]


def test_a_bit_of_ksh_is_the_best_code_that_its_kernels_can_make() -> None:
    rng = np.random.default_rng(0)
    kernels = np.eye(8)  # any code can be made
    for _ in range(5):
        truth = rng.integers(0, 2, 8)
        left = np.where(truth[:, None] == truth, 3.0, -3.0)
        best = max(np.array(c) @ left @ np.array(c) for c in product([-1.0, 1.0], repeat=8))
        code = np.where(kernels @ learn_bit(kernels, left) > 0, 1.0, -1.0)
        assert code @ left @ code == best


def test_the_gradient_of_ksh() -> None:
    rng = np.random.default_rng(1)
    kernels, left = rng.normal(size=(9, 4)), rng.normal(size=(9, 9))
    left += left.T

    def loss(a: NDArray[np.float64]) -> float:
        return smooth_loss(a, kernels, left)[0]

    def gradient(a: NDArray[np.float64]) -> NDArray[np.float64]:
        return smooth_loss(a, kernels, left)[1]

    assert check_grad(loss, gradient, rng.normal(size=4)) < 1e-4


def test_every_bit_of_ksh_lowers_the_loss(clusters: Clusters) -> None:
    loss = KSH(n_bits=8).fit(*clusters).loss_
    assert all(after < before for before, after in pairwise(loss))


@pytest.mark.parametrize("seed", range(5))
def test_a_bit_of_sdh_is_the_best_while_the_others_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = np.where(rng.random((5, 3)) < 0.5, 1.0, -1.0)
    classifier, wanted = rng.normal(size=(3, 2)), rng.normal(size=(5, 3))

    def loss(b: NDArray[np.float64]) -> float:
        return float(((b @ classifier) ** 2).sum() - 2 * (b * wanted).sum())

    found = discrete_step(codes, classifier, wanted, sweeps=1)
    # the last bit was set last, with the others as they are now: try all its columns
    values = []
    for column in product([-1.0, 1.0], repeat=5):
        other = found.copy()
        other[:, 2] = column
        values.append(loss(other))
    assert loss(found) == pytest.approx(min(values))
    settled = discrete_step(codes, classifier, wanted, sweeps=100)
    assert loss(settled) <= loss(found) <= loss(codes)
    for bit in range(3):
        for column in product([-1.0, 1.0], repeat=5):
            other = settled.copy()
            other[:, bit] = column
            assert loss(settled) <= loss(other) + 1e-12


def test_the_classifier_of_sdh_is_ridge_regression() -> None:
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    codes, truth = rng.choice([-1.0, 1.0], (30, 6)), np.eye(3)[rng.integers(0, 3, 30)]
    expected = Ridge(2.0, fit_intercept=False).fit(codes, truth).coef_.T
    np.testing.assert_allclose(classify(codes, truth, 2.0), expected, atol=1e-10)


def test_codes_of_sdh_tell_the_training_classes_apart(clusters: Clusters) -> None:
    rows, number = clusters
    bits = unpack(SDH(n_bits=12).fit(rows, number).transform(rows), 12)
    common = np.stack([bits[number == c].mean(0) > 0.5 for c in range(5)])
    assert (bits == common[number]).mean() > 0.95
    assert len(np.unique(common, axis=0)) == 5


def test_squared_distances() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(4, 7)), rng.normal(size=(5, 7))
    expected = ((first[:, None] - second) ** 2).sum(2)
    np.testing.assert_allclose(squared_distances(first, second), expected, atol=1e-12)
