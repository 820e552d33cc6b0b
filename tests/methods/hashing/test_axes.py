from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD

from handful.errors import InputError
from handful.methods.hashing import HashLibrary
from handful.methods.hashing.axes import PrincipalAxes, kept_projection

FEATURES = np.random.default_rng(0).normal(size=(300, 12)) * np.linspace(3, 0.5, 12) + 1


def unit(
    rows: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_axes_are_the_singular_vectors_of_unit_vectors() -> None:
    axes = PrincipalAxes.of(FEATURES, 4)
    twin = TruncatedSVD(4, algorithm="arpack").fit(unit(FEATURES))
    assert np.allclose(np.abs(axes.basis @ twin.components_.T), np.eye(4), atol=1e-6)
    found = axes.project(FEATURES)
    assert found.dtype == np.float16
    assert np.allclose(found, unit(FEATURES) @ axes.basis.T, atol=1e-3)


def test_functions_over_all_axes_are_those_over_the_features() -> None:
    rng = np.random.default_rng(1)
    library = HashLibrary(
        rng.normal(size=(40, 12)).astype(np.float32), rng.normal(size=40).astype(np.float32) / 4
    )
    axes = PrincipalAxes.of(FEATURES, 12)
    projected = unit(FEATURES) @ axes.basis.T
    lifted = axes.lift(library, projected)
    assert np.allclose(lifted.margins(FEATURES), library.margins(projected), atol=1e-5)


def test_functions_over_few_axes_keep_their_bits() -> None:
    rng = np.random.default_rng(2)
    library = HashLibrary(
        rng.normal(size=(50, 9)).astype(np.float32), rng.normal(size=50).astype(np.float32) / 4
    )
    axes = PrincipalAxes.of(FEATURES, 9)
    projected = axes.project(FEATURES)
    lifted = axes.lift(library, projected)
    assert lifted.weights.shape == (50, 12)
    same = (lifted.margins(FEATURES) > 0) == (library.margins(projected) > 0)
    assert same.mean() > 0.98


def test_a_projection_is_kept_and_found_again(tmp_path: Path) -> None:
    _, first = kept_projection(FEATURES, 3, tmp_path)
    axes, again = kept_projection(FEATURES[::-1], 3, tmp_path)
    assert np.array_equal(first, again)
    assert axes.basis.shape == (3, 12)


def test_more_axes_than_dimensions() -> None:
    with pytest.raises(InputError, match="13 axes: the features have 12 dimensions"):
        PrincipalAxes.of(FEATURES, 13)
