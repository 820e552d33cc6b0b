from __future__ import annotations

import itertools
from collections.abc import Callable

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from handful.methods.hashing import CCAITQ, PCAITQ
from handful.methods.hashing.itq import canonical, principal, rotate

Clusters = tuple[NDArray[np.float64], NDArray[np.int64]]


def test_the_error_never_rises_and_the_matrix_stays_orthogonal() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 8)) * np.linspace(3, 0.5, 8)
    start = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    rotation, errors = rotate(values, start)
    assert len(errors) == 50
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(errors))
    assert errors[-1] < 0.97 * errors[0]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(8), atol=1e-12)


def test_it_reaches_what_faiss_reaches(clusters: Clusters) -> None:
    rows = clusters[0]
    hasher = PCAITQ(n_bits=8).fit(rows)
    values = (rows - rows.mean(0)) @ principal(rows, 8)
    other = faiss.ITQMatrix(8)
    other.train(np.ascontiguousarray(values, np.float32))
    rotated = other.apply(np.ascontiguousarray(values, np.float32)).astype(float)
    error = ((np.sign(rotated) - rotated) ** 2).sum()
    assert hasher.errors_[-1] == pytest.approx(error, rel=0.05)


def test_principal_directions_are_those_of_scikit_learn(clusters: Clusters) -> None:
    from sklearn.decomposition import PCA

    for rows in (clusters[0], clusters[0][:9]):
        expected = PCA(5).fit(rows).components_
        cosines = np.abs((principal(rows, 5).T * expected).sum(1))
        np.testing.assert_allclose(cosines, 1, atol=1e-8)
    assert principal(clusters[0][:9], 12).shape == (16, 8)


def test_canonical_directions_are_those_of_discriminant_analysis(clusters: Clusters) -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rows, number = clusters
    found = canonical(rows, number, 1e-12)
    expected = LinearDiscriminantAnalysis(solver="eigen").fit(rows, number).scalings_[:, :4]
    assert found.shape == (16, 4)
    unit = found / np.linalg.norm(found, axis=0)
    cosines = np.abs((unit * expected / np.linalg.norm(expected, axis=0)).sum(0))
    np.testing.assert_allclose(cosines, 1, atol=1e-6)
    # unit variance along each, times its correlation with the classes
    correlation = ((rows - rows.mean(0)) @ found).std(0)
    assert (np.diff(correlation) <= 0).all()
    assert (correlation < 1).all()


def test_bits_beyond_the_directions_are_random_ones(
    clusters: Clusters, make_clusters: Callable[..., Clusters]
) -> None:
    hasher = CCAITQ(n_bits=16).fit(*clusters)
    assert (hasher.random_bits_, hasher.rotation_.shape) == (12, (4, 4))
    few, number = make_clusters(10, 10, 64, 0.1, 0)
    assert PCAITQ(n_bits=16).fit(few).random_bits_ == 7
    hasher = CCAITQ(n_bits=16).fit(few, number)
    assert (hasher.weights_.shape, hasher.random_bits_) == ((64, 16), 7)
    assert PCAITQ(n_bits=16).fit(clusters[0]).random_bits_ == 0
