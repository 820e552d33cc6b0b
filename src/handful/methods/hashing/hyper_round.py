"""One round of UGH's hyper-training: from a draw of unlabelled features to K hash functions.

Y.-X. Wang, L. Gui, M. Hebert, "Few-shot hash learning for image retrieval", ICCV workshops 2017,
section 3.1; the settings are those of section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.errors import InputError
from handful.methods.hashing import dbc
from handful.methods.hashing.base import Floats, Indices, unit
from handful.methods.hashing.code_table import Solver
from handful.methods.hashing.platt import platt
from handful.methods.hashing.pseudo_categories import expand, max_min


@dataclass(frozen=True)
class Settings:
    """What a round is made of; the letters are the paper's.

    Attributes
    ----------
    sample : int
        M: features that are drawn for a round; all where there are fewer.
    tries, categories, size : int
        m, C, T of the Max-Min sampling.
    n_bits : int
        K: hash functions a round.
    expansion, held_out : int
        F: features that a pseudo-category gains, and how many of them calibrate.
    loss : {"squared", "hinge"}
        Of the SVMs, see `dbc.DBC`.
    solver : {"exact", "reference"}
        Of the code table, see `code_table.improve`.
    """

    sample: int = 20_000
    tries: int = 50
    categories: int = 30
    size: int = 6
    n_bits: int = 10
    expansion: int = 50
    held_out: int = 5
    loss: dbc.Loss = "squared"
    solver: Solver = "exact"

    def check(self, images: int) -> None:
        """Refuse a corpus that is too small.

        Raises
        ------
        InputError
            Fewer images than a round's pseudo-categories take.
        """
        needed = self.categories * (self.size + self.expansion)
        if min(images, self.sample) < needed:
            raise InputError(f"{images} unlabelled images: a round needs at least {needed}")


def run_round(
    features: NDArray[np.floating], seed: int, number: int, settings: Settings | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Learn the hash functions of one round.

    Parameters
    ----------
    features : ndarray
        The unlabelled corpus (N, D), brought to unit length here; a memory map will do.
    seed, number : int
        The seed of the library and the number of the round: together they are all that its
        chance depends on.
    settings : Settings, optional
        The paper's by default.

    Returns
    -------
    weights : ndarray
        (K, D) float32, unit vectors.
    bias : ndarray
        (K,) float32. Bit k of x is ``weights[k] @ x + bias[k] > 0``, which is where its
        calibrated probability passes 1/2: sign(alpha) (w^T x - beta) > 0.

    Notes
    -----
    BLAS is held to one thread, so that a round comes out the same byte for byte however many run
    beside it.
    """
    from threadpoolctl import threadpool_limits

    settings = settings or Settings()
    settings.check(len(features))
    with threadpool_limits(1):
        return _run(features, np.random.default_rng([seed, number]), settings)


def _run(
    features: NDArray[np.floating], rng: np.random.Generator, settings: Settings
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows = draw(features, settings.sample, rng)
    engine = settings.n_bits, rng, settings.loss, settings.solver
    members = max_min(rows, rng, settings.categories, settings.size, settings.tries)
    coarse = dbc.train(rows[members.ravel()], _numbers(members), *engine)
    added = expand(rows, members, coarse, settings.expansion, settings.loss)
    added = rng.permuted(added, axis=1)
    held, joining = added[:, : settings.held_out], added[:, settings.held_out :]
    everyone = np.hstack([members, joining])
    inside = rows[everyone.ravel()]
    weights = dbc.train(inside, _numbers(everyone), *engine)
    weights /= np.maximum(np.linalg.norm(weights, axis=0), 1e-12)
    bits = (inside @ weights > 0).reshape(*everyone.shape, -1)
    majority = np.repeat(bits.mean(1) > 0.5, settings.held_out, axis=0)
    margins = rows[held.ravel()] @ weights
    fitted = [platt(m, p) for m, p in zip(margins.T, majority.T, strict=True)]
    alpha, beta = np.array(fitted).T
    sign = np.sign(alpha)
    return (weights * sign).T.astype(np.float32), (-sign * beta).astype(np.float32)


def draw(features: NDArray[np.floating], count: int, rng: np.random.Generator) -> Floats:
    """Draw unit vectors (M, D) from a corpus (N, D), in its order."""
    few = min(count, len(features))
    chosen = np.sort(rng.choice(len(features), few, replace=False))
    return unit(features[chosen])


def _numbers(members: Indices) -> Indices:
    return np.repeat(np.arange(len(members)), members.shape[1])
