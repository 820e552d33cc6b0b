"""What all methods have in common, and that each of them keeps clusters apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.errors import InputError
from handful.methods.hashing import (
    CCAITQ,
    DBC,
    KSH,
    LSH,
    PCAITQ,
    SDH,
    BinaryAutoencoder,
    FastHash,
    Hasher,
    KMeansHashing,
    SpectralHashing,
    SphericalHashing,
    pack,
    unpack,
)

Clusters = tuple[NDArray[np.float64], NDArray[np.int64]]
ALL: list[Any] = [
    LSH,
    PCAITQ,
    CCAITQ,
    KSH,
    SDH,
    DBC,
    SpectralHashing,
    SphericalHashing,
    KMeansHashing,
    BinaryAutoencoder,
    FastHash,
]
SUPERVISED = [method for method in ALL if method.supervised]


def gap(hasher: Hasher, rows: NDArray[np.float64], number: NDArray[np.int64]) -> float:
    """Mean Hamming distance between clusters less that within them, in bits."""
    bits = unpack(hasher.transform(rows), hasher.n_bits)
    distances = (bits[:, None] != bits).sum(2)
    same = number[:, None] == number
    return float(distances[~same].mean() - distances[same].mean())


@pytest.mark.parametrize("method", ALL, ids=lambda m: m.name)
def test_codes_keep_clusters_apart(
    method: Any, clusters: Clusters, make_clusters: Callable[..., Clusters]
) -> None:
    options = {"trees": 20} if method is FastHash else {}
    hasher = method(n_bits=12, seed=1, **options).fit(*clusters)
    rows, number = make_clusters(60, 5, 16, 0.4, 7)
    codes = hasher.transform(rows)
    assert codes.shape == (60, 2)
    assert codes.dtype == np.uint8
    assert not (codes[:, 1] >> 4).any()
    assert gap(hasher, rows, number) > 2
    again = method(n_bits=12, seed=1, **options).fit(*clusters).transform(rows)
    np.testing.assert_array_equal(codes, again)


@pytest.mark.parametrize("method", SUPERVISED, ids=lambda m: m.name)
def test_one_example_a_class_is_enough_to_fit(
    method: Any, make_clusters: Callable[..., Clusters]
) -> None:
    shots = make_clusters(5, 5, 40, 0.3, 0)
    hasher = method(n_bits=16).fit(*shots)
    assert len(np.unique(hasher.transform(shots[0]), axis=0)) == 5
    assert gap(hasher, *make_clusters(50, 5, 40, 0.3, 3)) > 2


@pytest.mark.parametrize("method", SUPERVISED, ids=lambda m: m.name)
def test_supervised_methods_need_classes(method: Any, clusters: Clusters) -> None:
    with pytest.raises(InputError, match="give the class of each"):
        method().fit(clusters[0])
    with pytest.raises(InputError, match="of one class"):
        method().fit(clusters[0], np.zeros(200))
    with pytest.raises(InputError, match="3 labels for 200"):
        method().fit(clusters[0], [0, 1, 2])


def test_features_that_nothing_can_be_learned_from() -> None:
    with pytest.raises(InputError, match="two images or more"):
        LSH().fit(np.ones((1, 3)))
    with pytest.raises(InputError, match="no numbers"):
        PCAITQ().fit(np.array([[np.nan, 1], [1, 2]]))
    with pytest.raises(ValueError, match="a row for each"):
        LSH().fit(np.eye(3)).transform(np.ones(3))


@pytest.mark.parametrize("n_bits", [1, 7, 8, 9, 32])
def test_packing_is_undone(n_bits: int) -> None:
    bits = np.random.default_rng(n_bits).random((20, n_bits)) < 0.5
    codes = pack(bits)
    assert codes.shape == (20, -(-n_bits // 8))
    np.testing.assert_array_equal(unpack(codes, n_bits), bits)
    assert codes[0, 0] == sum(2**b for b in range(min(n_bits, 8)) if bits[0, b])


def test_lsh_differs_in_a_bit_with_the_chance_of_the_angle() -> None:
    angle = np.pi / 5
    pair = np.array([[1.0, 0, 0], [np.cos(angle), np.sin(angle), 0]])
    bits = unpack(LSH(n_bits=40_000, seed=0).fit(pair).transform(pair), 40_000)
    assert (bits[0] != bits[1]).mean() == pytest.approx(angle / np.pi, abs=0.01)
