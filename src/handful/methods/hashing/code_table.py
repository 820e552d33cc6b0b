"""The code table of equation 1 of UGH: codes alike within a class, different between classes.

See `dbc` for the equation. Hamming distances are sums over bits, so the bits are independent
problems, which are solved side by side.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np

from handful.errors import InputError
from handful.methods.hashing.base import Floats, Indices

Solver: TypeAlias = Literal["exact", "reference"]

_SWEEPS = {"exact": 100, "reference": 10}


def objective(table: Floats, number: Indices, margins: Floats, hinge_weight: float = 1.0) -> Floats:
    """Return what equation 1 says of each bit of a code table, (K,), less the norms.

    Parameters
    ----------
    table : ndarray
        (n, K) in {-1, 1}.
    number : ndarray
        The class 0..C-1 of each row, (n,).
    margins : ndarray
        w_k^T x_i, (n, K).
    hinge_weight : float
        lambda_1; lambda_2 is the mean size of a class over n.
    """
    size = np.bincount(number)
    sums = np.zeros((len(size), table.shape[1]))
    np.add.at(sums, number, table)
    # pairs that differ, among p + q: p q = ((p + q)^2 - (p - q)^2) / 4
    within = (size[:, None] ** 2 - sums**2).sum(0) / 4
    everywhere = (len(table) ** 2 - table.sum(0) ** 2) / 4
    hinge = np.maximum(1 - table * margins, 0).sum(0)
    return np.asarray(within + hinge_weight * hinge - _between_weight(size) * (everywhere - within))


def improve(
    table: Floats,
    number: Indices,
    margins: Floats,
    hinge_weight: float = 1.0,
    solver: Solver = "exact",
) -> Floats:
    """Lower :func:`objective`, starting from a code table.

    Parameters
    ----------
    table, number, margins, hinge_weight
        See :func:`objective`.
    solver : {"exact", "reference"}
        ``exact`` sets one entry after the other to its better sign, until none changes, so the
        objective never rises. ``reference`` sets all entries at once, ten times.

    Returns
    -------
    ndarray
        (n, K) in {-1, 1}.
    """
    if solver not in get_args(Solver):
        raise InputError(f"solver {solver!r}: is one of {', '.join(get_args(Solver))}")
    size = np.bincount(number)
    weight = _between_weight(size)
    # what a sign of 1 gains over one of -1, but for its distances
    pull = hinge_weight * (np.maximum(1 + margins, 0) - np.maximum(1 - margins, 0))
    found = table.copy()
    for _ in range(_SWEEPS[solver]):
        before = found.copy()
        sums = np.zeros((len(size), table.shape[1]))
        np.add.at(sums, number, found)
        if solver == "exact":
            _one_by_one(found, number, pull, sums, weight)
        else:
            total = sums.sum(0)
            gain = (1 + weight) * sums[number] - found - weight * total + pull
            found = np.where(gain == 0, found, np.where(gain > 0, 1.0, -1.0))
        if np.array_equal(found, before):
            break
    return found


def _one_by_one(table: Floats, number: Indices, pull: Floats, sums: Floats, weight: float) -> None:
    total = sums.sum(0)
    for i, c in enumerate(number.tolist()):
        row, mates = table[i], sums[c]
        gain = (1 + weight) * mates - row - weight * total + pull[i]
        flips = gain * row < 0
        if flips.any():
            change = np.where(flips, -2 * row, 0.0)
            row += change
            mates += change
            total += change


def _between_weight(size: Indices) -> float:
    """lambda_2: the size of a class, in the mean, over the number of examples."""
    return 1 / len(size)
