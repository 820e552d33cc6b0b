from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.errors import InputError
from handful.methods.hashing import DBC, code_table, unpack
from handful.methods.hashing import dbc as dbc_module
from handful.methods.hashing.code_table import improve, objective
from handful.methods.hashing.dbc import separate, span, train

Array = NDArray[np.float64]
Clusters = tuple[NDArray[np.float64], NDArray[np.int64]]


def equation_1(table: Array, number: NDArray[np.int64], margins: Array, weight: float) -> float:
    """The sums of the equation as they stand, over all ordered pairs."""
    classes = number.max() + 1
    value = 0.0
    for m in range(len(table)):
        for n in range(len(table)):
            distance = (table[m] != table[n]).sum()
            value += 0.5 * distance * (1 if number[m] == number[n] else -1 / classes)
    return value + weight * float(np.maximum(1 - table * margins, 0).sum())


def problem(seed: int, count: int = 9, bits: int = 3) -> tuple[Array, NDArray[np.int64], Array]:
    rng = np.random.default_rng(seed)
    number = np.sort(np.arange(count) % 3)
    return rng.choice([-1.0, 1.0], (count, bits)), number, 2 * rng.normal(size=(count, bits))


@pytest.mark.parametrize("seed", range(4))
def test_the_objective_is_equation_1(seed: int) -> None:
    table, number, margins = problem(seed)
    expected = equation_1(table, number, margins, 0.7)
    assert objective(table, number, margins, 0.7).sum() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(6))
def test_the_exact_solver_never_rises_and_ends_where_no_flip_helps(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, number, margins = problem(seed, 40, 4)
    values = [objective(table, number, margins)]
    for sweeps in (1, 2, 3, 100):
        monkeypatch.setitem(code_table._SWEEPS, "exact", sweeps)
        values.append(objective(improve(table, number, margins), number, margins))
    for before, after in pairwise(values):
        assert (after <= before + 1e-9).all()
    found = improve(table, number, margins)
    for i in range(40):
        other = found.copy()
        other[i] *= -1
        assert (objective(other, number, margins) >= values[-1] - 1e-9).all()


def test_it_finds_the_best_table_of_a_clear_problem() -> None:
    _, number, margins = problem(0, 9, 1)
    margins = np.where(number == 0, 4.0, -4.0)[:, None] + 0.1 * margins
    start = np.where(margins > 0, 1.0, -1.0)
    tables = [np.array(t)[:, None] for t in product([-1.0, 1.0], repeat=9)]
    best = min(float(objective(t, number, margins)[0]) for t in tables)
    assert objective(improve(start, number, margins), number, margins)[0] == pytest.approx(best)


def test_the_reference_solver_sets_all_entries_at_once() -> None:
    table, number, margins = problem(3)
    expected = table.copy()
    for _ in range(10):
        step = expected.copy()
        for i, k in product(range(len(table)), range(table.shape[1])):
            low, high = expected.copy(), expected.copy()
            low[i, k], high[i, k] = -1, 1
            gain = equation_1(low, number, margins, 1.0) - equation_1(high, number, margins, 1.0)
            step[i, k] = expected[i, k] if abs(gain) < 1e-9 else np.sign(gain)
        expected = step
    np.testing.assert_array_equal(improve(table, number, margins, solver="reference"), expected)


@pytest.mark.parametrize("loss", ["squared", "hinge"])
def test_the_span_of_few_examples_holds_their_hyperplanes(loss: dbc_module.Loss) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(12, 40))
    table = rng.choice([-1.0, 1.0], (12, 2))
    table[:2] = [[1, -1], [-1, 1]]
    values, basis = span(rows)
    assert values.shape == (12, 12)
    np.testing.assert_allclose(values @ basis.T, rows, atol=1e-12)
    inside = basis @ separate(values, table, 0.5, loss)
    np.testing.assert_allclose(inside, separate(rows, table, 0.5, loss), atol=5e-3)


@pytest.mark.parametrize("loss", ["squared", "hinge"])
def test_hyperplanes_are_those_of_the_dual_problem(loss: dbc_module.Loss) -> None:
    from scipy.optimize import minimize

    rng = np.random.default_rng(1)
    rows, sign = rng.normal(size=(30, 3)), np.where(np.arange(30) < 9, 1.0, -1.0)
    signed = rows * sign[:, None]
    # the class-balanced weights; the squared loss adds a_i^2 / (4 c_i) and has no upper bound
    c = 0.5 * (np.where(sign > 0, 30 / 18, 30 / 42) if loss == "squared" else np.ones(30))

    def dual(a: Array) -> tuple[float, Array]:
        w = a @ signed
        ridge = a / (2 * c) if loss == "squared" else np.zeros(30)
        return float(0.5 * w @ w - a.sum() + 0.5 * a @ ridge), signed @ w - 1 + ridge

    bounds = [(0, None if loss == "squared" else ci) for ci in c]
    options = {"ftol": 1e-15, "gtol": 1e-10}
    best = minimize(dual, np.zeros(30), jac=True, bounds=bounds, options=options).x
    found = separate(rows, sign[:, None], 0.5, loss)[:, 0]
    np.testing.assert_allclose(found, best @ signed, atol=2e-3)


@pytest.mark.parametrize("loss", ["squared", "hinge"])
@pytest.mark.parametrize("solver", ["exact", "reference"])
def test_codes_are_alike_within_clusters(loss: str, solver: str, clusters: Clusters) -> None:
    rows, number = clusters
    hasher = DBC(8, 0, loss, solver).fit(rows, number)  # type: ignore[arg-type]
    bits = unpack(hasher.transform(rows), 8)
    away = (bits[:, None] != bits).sum(2)
    same = number[:, None] == number
    assert away[same].mean() < 0.4 < 2 < away[~same].mean()


def test_more_bits_than_examples_are_two_sided() -> None:
    rows = np.eye(4, 30)
    weights = train(rows, np.arange(4), 16, np.random.default_rng(0))
    assert weights.shape == (30, 16)
    bits = rows @ weights > 0
    assert not (bits.all(0) | ~bits.any(0)).any()


def test_unknown_options() -> None:
    with pytest.raises(InputError, match="loss 'log'"):
        DBC(loss="log").fit(np.eye(4), [0, 0, 1, 1])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="solver 'best'"):
        DBC(solver="best").fit(np.eye(4), [0, 0, 1, 1])  # type: ignore[arg-type]
