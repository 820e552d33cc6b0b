"""Predictable discriminative binary codes: hyperplanes that keep classes apart with large margins.

M. Rastegari, A. Farhadi, D. Forsyth, "Attribute discovery via predictable discriminative binary
codes", ECCV 2012; as Y.-X. Wang, L. Gui, M. Hebert, "Few-shot hash learning for image retrieval",
ICCV workshops 2017, write it in equation 1. With code tables H, L (n, K) of the examples, Hamming
distances d and hyperplanes w_k it is

    1/2 sum_c sum_{m,n in c} d(H_m, H_n) + gamma sum_k |w_k|^2
        + lambda_1 sum_k sum_i max(1 - l_ki w_k^T x_i, 0)
        - lambda_2 / 2 sum_{c' != c''} sum_{a in c', b in c''} d(H_a, H_b).

It starts from the signs of the principal components. A pass optimises the code table, fits a
linear SVM to each of its columns, and takes the SVMs' signs as the table of the next pass.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from handful.errors import InputError
from handful.methods.hashing.base import Floats, Indices, LinearHasher, labelled
from handful.methods.hashing.code_table import Solver, improve
from handful.methods.hashing.itq import principal

Loss = Literal["hinge", "squared"]


class DBC(LinearHasher):
    """The supervised method; :func:`train` is also the engine of UGH.

    Parameters
    ----------
    n_bits, seed : int
        See `Hasher`.
    loss : {"squared", "hinge"}
        Of the SVMs: the squared one with classes balanced, as the authors' code has it, or the
        plain and unweighted one, as the equation has it.
    solver : {"exact", "reference"}
        Of the code table, see `code_table.improve`.

    Examples
    --------
    >>> rows = np.repeat(np.eye(3), 4, axis=0)
    >>> codes = DBC(n_bits=4).fit(rows, [*"aaaabbbbcccc"]).transform(rows)
    >>> len(np.unique(codes))
    3
    """

    name = "dbc"
    supervised = True

    def __init__(
        self,
        n_bits: int = 16,
        seed: int = 0,
        loss: Loss = "squared",
        solver: Solver = "exact",
    ) -> None:
        super().__init__(n_bits, seed)
        self.loss = loss
        self.solver = solver

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D) and the class of each, (N,)."""
        rows, number = labelled(features, labels, self.name)
        rng = self._rng()
        self.weights_ = train(rows, number, self.n_bits, rng, self.loss, self.solver)
        self.bias_ = np.zeros(self.n_bits)
        return self


def train(
    rows: Floats,
    number: Indices,
    n_bits: int,
    rng: np.random.Generator,
    loss: Loss = "squared",
    solver: Solver = "exact",
    passes: int = 2,
    gamma: float = 1.0,
    hinge_weight: float = 1.0,
) -> Floats:
    """Learn hyperplanes through the origin.

    Parameters
    ----------
    rows : ndarray
        Examples (n, D).
    number : ndarray
        The class 0..C-1 of each, (n,).
    n_bits : int
        How many hyperplanes.
    rng : Generator
        Draws the start of bits that have no principal component, or only one side.
    loss, solver : str
        See `DBC`.
    passes : int
        See above.
    gamma, hinge_weight : float
        gamma and lambda_1 of the equation.

    Returns
    -------
    ndarray
        (D, n_bits).
    """
    if loss not in ("squared", "hinge"):
        raise InputError(f"loss {loss!r}: is squared or hinge")
    values, basis = span(rows)
    centred = values - values.mean(0)
    axes = principal(values, n_bits)
    more = rng.standard_normal((values.shape[1], n_bits - axes.shape[1]))
    table = _two_sided(np.where(centred @ np.hstack([axes, more]) > 0, 1.0, -1.0), centred, rng)
    margins = np.zeros_like(table)
    for _ in range(passes):
        table = improve(table, number, margins, hinge_weight, solver)
        table = _two_sided(table, centred, rng)
        weights = separate(values, table, hinge_weight / (2 * gamma), loss)
        margins = values @ weights
        table = np.where(margins > 0, 1.0, -1.0)
    return basis @ weights


def separate(values: Floats, table: Floats, c: float, loss: Loss) -> Floats:
    """Fit a linear SVM without intercept to each column of a code table (n, K); return (D, K)."""
    from sklearn.svm import LinearSVC

    squared = loss == "squared"
    machine = LinearSVC(
        C=c,
        loss="squared_hinge" if squared else "hinge",
        dual=not squared,
        class_weight="balanced" if squared else None,
        fit_intercept=False,
        max_iter=10_000,
        random_state=0,
    )
    return np.column_stack([machine.fit(values, column).coef_[0] for column in table.T])


def span(rows: Floats) -> tuple[Floats, Floats]:
    """Return rows in an orthonormal basis of what they span, (n, r), and the basis (D, r).

    A hyperplane that is learned from the rows lies in their span, so with fewer rows than
    dimensions everything is found there at a fraction of the cost.
    """
    if len(rows) >= rows.shape[1]:
        return rows, np.eye(rows.shape[1])
    basis, values = np.linalg.qr(rows.T)
    return np.ascontiguousarray(values.T), basis


def _two_sided(table: Floats, centred: Floats, rng: np.random.Generator) -> Floats:
    """Replace columns that hold one sign alone, which no SVM can learn, by random halves."""
    found = table.copy()
    for bit in np.flatnonzero(np.abs(table.sum(0)) == len(table)):
        order = np.argsort(centred @ rng.standard_normal(centred.shape[1]), kind="stable")
        found[order[: len(order) // 2], bit] = -1
        found[order[len(order) // 2 :], bit] = 1
    return found
