"""`handful-bits`: functions of a library whose Hamming distances follow what is alike.

Ours. The selection of UGH asks which bits tell the examples' classes apart, so with few examples
it takes bits that say the same, and bits that fit them by chance. Here a code is to have inner
products that follow a target over all pairs of images of a sample: cosines of centred features,
and for two examples also whether they are of one class. With T the target, weights u that sum to
1 and bits h_t in {-1, 1}, functions are added one by one so that

    sum_ij u_i u_j (k T_ij - sum_t h_ti h_tj)^2

falls most: the greedy step of KSH (`ksh`, equation 12), over functions that there are.
"""

from __future__ import annotations

import numpy as np

from handful.methods.hashing.base import Bits, Floats, Indices

LABELS = 2.0
"""How much a pair of examples of one class gains over its cosine."""

EVEN = 3.0
"""Examples of a class with which they weigh as much as the background."""


def select_similar(bits: Bits, target: Floats, weights: Floats, n_bits: int) -> Indices:
    """Add functions one by one, each the one that lowers the loss most.

    Parameters
    ----------
    bits : ndarray
        The bits of the sample, (functions, n).
    target : ndarray
        (n, r): T is ``target @ target.T``.
    weights : ndarray
        u, (n,), which sum to 1.
    n_bits : int
        k: how many to select, at most as many as there are.

    Returns
    -------
    ndarray
        Numbers of functions (k,), in the order in which they were added.
    """
    signs = np.where(bits, np.float32(1), np.float32(-1))
    weighted = signs * weights.astype(np.float32)
    # a function lowers the loss by twice h^T U (k T - sum of earlier h h^T) U h, less a constant
    gain = n_bits * ((weighted @ target.astype(np.float32)) ** 2).sum(1, dtype=np.float64)
    chosen: list[int] = []
    for _ in range(n_bits):
        best = int(gain.argmax())
        chosen.append(best)
        gain -= (weighted @ signs[best]).astype(np.float64) ** 2
        gain[best] = -np.inf
    return np.array(chosen, np.int64)


def similarity_target(
    background: Floats, examples: Floats, number: Indices
) -> tuple[Floats, Floats]:
    """Say what a code is to follow.

    Parameters
    ----------
    background : ndarray
        Features (B, D) of images of any kind.
    examples : ndarray
        Features (S, D).
    number : ndarray
        The class 0..C-1 of each example, (S,).

    Returns
    -------
    target : ndarray
        (B + S, D + C): inner products of two rows are the cosine of their features, centred on
        the background; and between examples, besides, `LABELS` where they are of one class and
        -LABELS / (C - 1) where not.
    weights : ndarray
        (B + S,): with s examples of a class in the mean, those together weigh s / (s + EVEN) and
        the background the rest.
    """
    classes = int(number.max()) + 1
    centred = np.vstack([background, examples]) - background.mean(0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    labels = np.zeros((len(centred), classes))
    labels[len(background) :] = np.eye(classes)[number] - 1 / classes
    labels *= np.sqrt(LABELS * classes / (classes - 1))
    shots = len(number) / classes
    share = shots / (shots + EVEN)
    weights = np.full(len(centred), (1 - share) / len(background))
    weights[len(background) :] = share / len(number)
    return np.hstack([centred, labels]), weights
