"""K-means hashing: cells of k-means whose numbers are as far apart as their centres.

K. He, F. Wen, J. Sun, "K-means hashing: an affinity-preserving quantization method for learning
binary compact codes", CVPR 2013: equation 4 is the error of affinity, 6 the objective, section
3.3 its minimisation, section 4 the product of subspaces.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from handful.methods.hashing.base import Bits, Floats, Hasher, Indices, unlabelled
from handful.methods.hashing.itq import principal
from handful.methods.hashing.kernel import squared_distances


class KMeansHashing(Hasher):
    """A small codebook in each of a few subspaces.

    Parameters
    ----------
    n_bits, seed : int
        See `Hasher`.
    bits_each : int
        Bits of a subspace, at most; the last one takes what is left.
    affinity : float
        lambda of the objective; the paper's.
    iterations : int
        Rounds of assignment and update.
    examples : int
        Features at most that are learned from; drawn where there are more.

    Attributes
    ----------
    loss_ : list of list of float
        The objective of each subspace after each round; it never rises but for the scale of
        distances, which is fitted anew.
    """

    name = "kmeans"

    def __init__(
        self,
        n_bits: int = 16,
        seed: int = 0,
        bits_each: int = 4,
        affinity: float = 10.0,
        iterations: int = 20,
        examples: int = 10_000,
    ) -> None:
        super().__init__(n_bits, seed)
        self.bits_each = bits_each
        self.affinity = affinity
        self.iterations = iterations
        self.examples = examples

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D); labels are not looked at."""
        rows = unlabelled(features)
        rng = np.random.default_rng(self.seed)
        rows = rows[np.sort(rng.permutation(len(rows))[: self.examples])]
        self.centre_: Floats = rows.mean(0)
        axes = principal(rows, rows.shape[1])
        values = (rows - self.centre_) @ axes
        lengths = [
            min(self.bits_each, self.n_bits - start)
            for start in range(0, self.n_bits, self.bits_each)
        ]
        groups = balanced_groups(values.var(0), len(lengths))
        self.subspaces_: list[Floats] = [axes[:, group] for group in groups]
        self.codebooks_: list[Floats] = []
        self.loss_: list[list[float]] = []
        for group, length in zip(groups, lengths, strict=True):
            centres, loss = codebook(values[:, group], length, self.affinity, self.iterations)
            self.codebooks_.append(centres)
            self.loss_.append(loss)
        return self

    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""
        found = []
        for axes, centres in zip(self.subspaces_, self.codebooks_, strict=True):
            cell = squared_distances((features - self.centre_) @ axes, centres).argmin(1)
            found.append(cell_bits(len(centres))[cell])
        return np.hstack(found)


def codebook(
    values: Floats, n_bits: int, affinity: float = 10.0, iterations: int = 20
) -> tuple[Floats, list[float]]:
    """Learn the centres of a subspace.

    Parameters
    ----------
    values : ndarray
        (n, d), centred, its axes the principal ones.
    n_bits : int
        b: there are 2 ** b centres, numbered so that near ones differ in few bits.
    affinity, iterations
        See `KMeansHashing`.

    Returns
    -------
    centres : ndarray
        (2 ** b, d).
    loss : list of float
        The objective after each round.
    """
    from scipy.optimize import minimize

    number = cell_bits(1 << n_bits)
    hamming = np.sqrt((number[:, None] != number).sum(2))
    # PCA hashing: each centre starts as the mean of a corner's cell, or where it would be
    axes = min(n_bits, values.shape[1])
    centres = np.zeros((len(number), values.shape[1]))
    centres[:, :axes] = np.where(number[:, :axes], 1, -1) * np.abs(values[:, :axes]).mean(0)
    losses = []
    for _ in range(iterations):
        cell = squared_distances(values, centres).argmin(1)
        share = np.bincount(cell, minlength=len(number)) / len(values)
        scale = _scale(centres, hamming, share)
        sums = np.zeros_like(centres)
        np.add.at(sums, cell, values)
        given = sums / len(values), share, hamming * scale, affinity
        found = minimize(
            _loss, centres.ravel(), given, "L-BFGS-B", jac=True, options={"maxiter": 20}
        )
        centres = found.x.reshape(centres.shape)
        losses.append(float(found.fun + (values**2).sum() / len(values)))
    return centres, losses


def _loss(
    flat: Floats, sums: Floats, share: Floats, wanted: Floats, affinity: float
) -> tuple[float, Floats]:
    """Return equation 6, less the mean of |x|^2, of centres with cells assigned, and its gradient.

    The mean of |x - c|^2 is that of |x|^2, plus sum_i (share_i |c_i|^2 - 2 c_i sums_i).
    """
    centres = flat.reshape(sums.shape)
    value = float((share * (centres**2).sum(1)).sum() - 2 * (centres * sums).sum())
    slope = 2 * (share[:, None] * centres - sums)
    distance = np.sqrt(squared_distances(centres, centres) + 1e-12)
    weight = np.outer(share, share)
    off = distance - wanted
    value += affinity * float((weight * off**2).sum())
    pull = 4 * affinity * weight * off / distance
    slope += pull.sum(1)[:, None] * centres - pull @ centres
    return value, slope.ravel()


def _scale(centres: Floats, hamming: Floats, share: Floats) -> float:
    """Return s, by which the roots of Hamming distances come closest to those of centres."""
    weight = np.outer(share, share)
    distance = np.sqrt(squared_distances(centres, centres))
    return float((weight * distance * hamming).sum() / max((weight * hamming**2).sum(), 1e-12))


def cell_bits(cells: int) -> Bits:
    """Return the bits of the numbers of cells, (cells, b).

    Examples
    --------
    >>> cell_bits(4).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return np.asarray((np.arange(cells)[:, None] >> np.arange(cells.bit_length() - 1)) & 1 == 1)


def balanced_groups(variance: Floats, groups: int) -> list[Indices]:
    """Deal axes to groups so that the products of their variances are alike.

    As in T. Ge et al., "Optimized product quantization", CVPR 2013, section 4.2: in falling order
    each axis goes to the group with the smallest product that has room.

    Examples
    --------
    >>> [group.tolist() for group in balanced_groups(np.array([8.0, 4.0, 2.0, 1.0]), 2)]
    [[0, 3], [1, 2]]
    """
    room = -(-len(variance) // groups)
    chosen: list[list[int]] = [[] for _ in range(groups)]
    product = np.zeros(groups)
    # variances of 1 and more, so that an axis never lowers a product
    logs = np.log(np.maximum(variance, 1e-12) / max(variance.min(), 1e-12)) + 1e-9
    for axis in np.argsort(-variance, kind="stable").tolist():
        open_ = [g for g in range(groups) if len(chosen[g]) < room]
        best = min(open_, key=lambda g: (product[g], g))
        chosen[best].append(axis)
        product[best] += logs[axis]
    return [np.array(group, np.int64) for group in chosen]
