"""The later rivals, each against a property that its paper promises."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.methods.hashing import (
    BinaryAutoencoder,
    FastHash,
    KMeansHashing,
    SpectralHashing,
    SphericalHashing,
    unpack,
)
from handful.methods.hashing.binary_autoencoder import decode, encode
from handful.methods.hashing.fasthash import best_block, infer
from handful.methods.hashing.kmeans import _loss, balanced_groups, codebook

Clusters = tuple[NDArray[np.float64], NDArray[np.int64]]


def test_spectral_bits_are_the_smooth_waves_of_a_box() -> None:
    rng = np.random.default_rng(0)
    rows = rng.uniform(size=(4000, 2)) * [4.0, 1.5]
    rows[:2] = np.array([[0, 0], [4, 1.5]])
    hasher = SpectralHashing(n_bits=4).fit(rows)
    # m / side: 1/4, 2/4, 1/1.5, 3/4
    assert [*zip(hasher.axis_.tolist(), hasher.mode_.tolist(), strict=True)] == [
        (0, 1),
        (0, 2),
        (1, 1),
        (0, 3),
    ]
    bits = unpack(hasher.transform(rows), 4)
    halves = [rows[:, 0] < 2, (rows[:, 0] < 1) | (rows[:, 0] > 3), rows[:, 1] < 0.75]
    for bit, half in enumerate(halves):
        agreement = (bits[:, bit] == half).mean()
        assert max(agreement, 1 - agreement) > 0.97


def test_balls_hold_half_each_and_a_quarter_in_pairs() -> None:
    rows = np.random.default_rng(0).normal(size=(2000, 10))
    bits = unpack(SphericalHashing(n_bits=8).fit(rows).transform(rows), 8).astype(int)
    np.testing.assert_allclose(bits.mean(0), 0.5, atol=1e-3)
    overlap = (bits.T @ bits)[np.triu_indices(8, 1)] / 2000
    assert np.abs(overlap - 0.25).mean() < 0.1 * 0.25
    assert overlap.std() < 0.15 * 0.25


def test_k_means_cells_are_numbered_as_they_lie() -> None:
    rng = np.random.default_rng(0)
    corners = np.array([*product([-1.0, 1.0], repeat=3)])
    rows = (corners * [3, 2.5, 2])[np.arange(800) % 8] + 0.2 * rng.normal(size=(800, 3))
    hasher = KMeansHashing(n_bits=3, bits_each=3).fit(rows)
    bits = unpack(hasher.transform(rows), 3)
    away = (bits[:, None] != bits).sum(2)
    truth = (corners[np.arange(800) % 8][:, None] != corners[np.arange(800) % 8]).sum(2)
    np.testing.assert_array_equal(away, truth)


def test_the_objective_of_k_means_hashing() -> None:
    from scipy.optimize import check_grad

    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 4))
    loss = codebook(values, 3)[1]
    assert loss[-1] < loss[0]
    share, wanted = np.full(4, 0.25), rng.random((4, 4))
    wanted = wanted + wanted.T
    np.fill_diagonal(wanted, 0)
    given = rng.normal(size=(4, 2)), share, wanted, 10.0
    point = rng.normal(size=8)
    slope = check_grad(lambda x: _loss(x, *given)[0], lambda x: _loss(x, *given)[1], point)
    assert slope < 1e-4
    variance = np.array([8.0, 5, 3, 2, 1.5, 1])
    groups = balanced_groups(variance, 2)
    assert sorted(np.concatenate(groups).tolist()) == [*range(6)]
    products = [variance[group].prod() for group in groups]
    assert max(products) / min(products) < 1.5


@pytest.mark.parametrize("seed", range(4))
def test_no_single_bit_of_the_autoencoders_codes_can_be_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, hashed = rng.random((2, 20, 5)) < 0.5
    decoder, wanted = rng.normal(size=(5, 3)), rng.normal(size=(20, 3))

    def loss(z: NDArray[np.bool_]) -> NDArray[np.float64]:
        off = ((wanted - z @ decoder) ** 2).sum(1) + 0.3 * (z != hashed).sum(1)
        return np.asarray(off)

    found = encode(codes, hashed, decoder, wanted, 0.3, sweeps=200)
    assert (loss(found) <= loss(codes) + 1e-12).all()
    for bit in range(5):
        other = found.copy()
        other[:, bit] ^= True
        assert (loss(found) <= loss(other) + 1e-12).all()
    # rows of a decoder that are orthogonal are problems of their own: then it is the best code
    decoder = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    wanted = rng.normal(size=(20, 5))
    best = np.min([loss(np.tile(z, (20, 1))) for z in product([False, True], repeat=5)], axis=0)
    np.testing.assert_allclose(loss(encode(codes, hashed, decoder, wanted, 0.3)), best)


def test_the_decoder_is_a_linear_regression_and_errors_fall(clusters: Clusters) -> None:
    from sklearn.linear_model import LinearRegression

    rows = clusters[0]
    hasher = BinaryAutoencoder(n_bits=4).fit(rows)
    codes = unpack(hasher.transform(rows), 4)
    decoder, offset = decode(rows, codes)
    fitted = LinearRegression().fit(codes, rows)
    np.testing.assert_allclose(codes @ decoder + offset, fitted.predict(codes), atol=1e-8)
    assert min(hasher.errors_) <= hasher.errors_[0]
    residual = ((rows - fitted.predict(codes)) ** 2).sum(1).mean()
    assert residual == pytest.approx(min(hasher.errors_))


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_finds_the_best_code_of_a_block(seed: int) -> None:
    rng = np.random.default_rng(seed)
    attraction = rng.random((7, 7))
    attraction += attraction.T
    pull = 8 * rng.normal(size=7)

    def value(code: NDArray[np.float64]) -> float:
        return float(code @ attraction @ code + pull @ code)

    best = max(value(np.array(code)) for code in product([-1.0, 1.0], repeat=7))
    assert value(best_block(attraction, pull)) == pytest.approx(best, rel=1e-4)


def test_inference_of_fasthash_ends_at_the_best_code_of_every_class(clusters: Clusters) -> None:
    number = np.repeat(np.arange(4), 5)
    left = 8 * np.where(number[:, None] == number, 1.0, -1.0)
    code = infer(left, number, np.random.default_rng(0), 3)
    blocks = [code[number == c] for c in range(4)]
    assert all(np.abs(block.sum()) == 5 for block in blocks)
    assert abs(code.sum()) == 0
    trained = FastHash(n_bits=4, trees=20).fit(*clusters)
    assert len(np.unique(trained.transform(clusters[0]))) >= 4
