"""Votes of library functions: hash bits that are learned, and read from stored codes.

A single function of a library was learned without labels, so that the few that a task may pick are
weaker than hyperplanes that are learned from its examples. A vote is not: a bit is 1 where a sum
of the functions' signs, with whole numbers as weights, lies above a threshold. It needs no
features, only the functions' stored bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.methods.hashing.base import Codes, Floats, Indices, pack, unpack
from handful.methods.hashing.library import HashLibrary

LARGEST = 127
"""The largest weight of a function in a score: what a byte holds."""

STEPS = 8
"""In how many steps functions are taken up; each sees what the earlier ones left over."""

# images that are unpacked at once: 16 MB of signs at 256 functions
_BLOCK = 1 << 14


@dataclass(frozen=True, eq=False)
class Votes:
    """Bits that functions of a library vote for.

    Attributes
    ----------
    functions : ndarray
        Their numbers, (R,).
    weights : ndarray
        (R, k) whole numbers.
    thresholds : ndarray
        (k,). Bit j is ``signs @ weights[:, j] > thresholds[j]`` with signs in {-1, 1}.

    Examples
    --------
    >>> votes = Votes(np.array([4, 7]), np.array([[1, 1], [1, -2]]), np.array([0, 0]))
    >>> votes.encode(pack([[True, True, False], [True, False, False]]), count=3).tolist()
    [[1], [2], [2]]
    """

    functions: Indices
    weights: Indices
    thresholds: Indices

    def __len__(self) -> int:
        return int(self.weights.shape[1])

    def encode(self, rows: Codes, count: int) -> Codes:
        """Return packed codes (N, ceil(k / 8)), without looking at features.

        Parameters
        ----------
        rows : ndarray
            The functions' packed bits, (R, ceil(N / 8)), as `HashLibrary.rows` gives them.
        count : int
            N.
        """
        codes = np.empty((count, -(-len(self) // 8)), np.uint8)
        # with bits in place of signs: sum w (2 b - 1) > t where sum 2 w b > t + sum w. All sums
        # are whole numbers that float32 holds exactly.
        twice = (2 * self.weights).astype(np.float32)
        least = (self.thresholds + self.weights.sum(0)).astype(np.float32)
        for start in range(0, count, _BLOCK):
            stop = min(start + _BLOCK, count)
            part = rows[:, start // 8 : -(-stop // 8)]
            bits = np.unpackbits(part, axis=1, count=stop - start, bitorder="little")
            codes[start:stop] = pack(bits.astype(np.float32).T @ twice > least)
        return codes


@dataclass(frozen=True, eq=False)
class Scores:
    """Real-valued scores that functions of a library vote for.

    Attributes
    ----------
    functions : ndarray
        Their numbers, (R,).
    weights : ndarray
        (R, C) whole numbers of at most `LARGEST`.
    scale : float
        One of them in units of the scores.
    offset : ndarray
        (C,). Score c is ``scale * signs @ weights[:, c] + offset[c]``.
    """

    functions: Indices
    weights: Indices
    scale: float
    offset: Floats

    def __call__(self, signs: NDArray[np.float32]) -> Floats:
        """Return the scores (n, C) of signs (functions of the library, n)."""
        chosen = signs[self.functions].T.astype(np.float64)
        return np.asarray(self.scale * chosen @ self.weights + self.offset)

    def bits(self, mixture: Floats, thresholds: Floats) -> Votes:
        """Return the bits ``scores @ mixture > thresholds`` as votes.

        Parameters
        ----------
        mixture : ndarray
            (C, k) whole numbers.
        thresholds : ndarray
            (k,).
        """
        whole = np.rint(mixture).astype(np.int64)
        least = (thresholds - self.offset @ whole) / self.scale
        # a sum of whole numbers is above t where it is above floor(t)
        return Votes(self.functions, self.weights @ whole, np.floor(least).astype(np.int64))


def fit_scores(
    signs: NDArray[np.float32], wanted: Floats, weights: Floats, functions: int, ridge: float
) -> Scores:
    """Choose functions, and weigh them so that their votes follow scores.

    Parameters
    ----------
    signs : ndarray
        The bits of a sample in {-1, 1}, (functions of the library, n).
    wanted : ndarray
        The scores of the sample, (n, C).
    weights : ndarray
        What each image of the sample counts, (n,), which sum to 1.
    functions : int
        R: how many to choose; all where there are fewer.
    ridge : float
        What is added to the weighted covariance's diagonal.

    Returns
    -------
    Scores
        The weighted ridge regression on functions that are chosen in `STEPS` steps: each takes
        up those that correlate most with what is left of any score.

    """
    mean = weights @ wanted
    left = wanted - mean
    spread = np.maximum(np.sqrt(weights @ left**2), 1e-12)
    count = min(functions, len(signs))
    centre = signs @ weights.astype(np.float32)
    chosen = np.empty(0, np.int64)
    fit: Floats = np.zeros((0, wanted.shape[1]))
    for step in range(1, STEPS + 1):
        pull = signs @ (weights[:, None] * left / spread).astype(np.float32)
        pull -= centre[:, None] * ((weights @ left) / spread).astype(np.float32)
        strength = (pull.astype(np.float64) ** 2).sum(1)
        strength[chosen] = -np.inf
        more = count * step // STEPS - len(chosen)
        best = np.argsort(-strength, kind="stable")[:more]
        chosen = np.concatenate([chosen, best])
        table = (signs[chosen] - centre[chosen, None]).T.astype(np.float64)
        weighed = table * weights[:, None]
        gram = table.T @ weighed + ridge * np.eye(len(chosen))
        fit = np.asarray(np.linalg.solve(gram, weighed.T @ (wanted - mean)), np.float64)
        left = wanted - mean - table @ fit
    scale = float(np.abs(fit).max() / LARGEST) or 1.0
    whole = np.rint(fit / scale).astype(np.int64)
    offset = mean - scale * centre[chosen].astype(np.float64) @ whole
    return Scores(chosen, whole, scale, offset)


def fit_levels(
    signs: NDArray[np.float32], wanted: Floats, n_bits: int, functions: int, ridge: float
) -> tuple[Votes, Floats]:
    """Let functions vote for one score, and cut it into levels.

    Parameters
    ----------
    signs : ndarray
        The bits of a sample in {-1, 1}, (functions of the library, n).
    wanted : ndarray
        Its scores, (n,).
    n_bits : int
        k: bit j is 1 above level j. The levels cut the sample at shares that fall evenly, by
        ratio, from a half to one image, so that they are finest where the search is decided.
    functions, ridge
        See :func:`fit_scores`.

    Returns
    -------
    votes : Votes
        The bits. The Hamming distance to the code of all ones is by how many levels an image lies
        below the highest.
    levels : ndarray
        The mean score of the sample at each such distance, (k + 1,), never rising; where there is
        none, that of the next one above.
    """
    weights = np.full(len(wanted), 1 / len(wanted))
    scores = fit_scores(signs, wanted[:, None], weights, functions, ridge)
    found = scores(signs)[:, 0]
    shares = np.geomspace(0.5, 1 / len(wanted), n_bits)
    cuts = np.quantile(found, 1 - shares)
    away = (found[:, None] <= cuts).sum(1)
    count = np.bincount(away, minlength=n_bits + 1)
    total = np.bincount(away, weights=wanted, minlength=n_bits + 1)
    levels = np.where(count, total / np.maximum(count, 1), np.inf)
    levels[0] = min(levels[0], wanted.max())
    return scores.bits(np.ones((1, n_bits)), cuts), np.minimum.accumulate(levels)


def signs_of(library: HashLibrary, features: ArrayLike) -> NDArray[np.float32]:
    """Return the bits of features (n, D) as signs, (functions, n)."""
    rows = np.asarray(features)
    bits = unpack(library.rows(rows), len(rows))
    return np.where(bits, np.float32(1), np.float32(-1))
