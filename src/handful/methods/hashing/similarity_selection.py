"""`ugh-similarity`: functions of a library whose Hamming distances follow what is alike.

Ours, and no more than a selection: `handful_bits` is what a code gains that learns. The selection
of UGH asks which bits tell the examples' classes apart, so with few examples it takes bits that
say the same, and bits that fit them by chance. Here a code is to have inner products that follow a
target over all pairs of images of a sample: cosines of centred features,
cosines of what classes the images resemble, and for two examples also whether they are of one
class. With T the target, weights u that sum to 1 and bits h_t in {-1, 1}, functions are added one
by one so that

    sum_ij u_i u_j (k T_ij - sum_t h_ti h_tj)^2

falls most: the greedy step of KSH (`ksh`, equation 12), over functions that there are.

The constants were chosen at 1, 3 and 10 examples on 33 classes of Caltech-101 that no test uses.
"""

from __future__ import annotations

import numpy as np

from handful.methods.hashing.base import Bits, Floats, Indices, unit

LABELS = 8.0
"""How much a pair of examples of one class gains over its cosine."""

EVEN = 3.0
"""Examples of a class with which they weigh as much as the background."""

SOFT, SHARPNESS = 0.7, 10.0
"""The share of the classes that an image resembles in the target, and how sharply it is seen."""


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
        (B + S, D + 2 C): the inner product of two rows is 1 - SOFT of the cosine of their
        features, centred on the background, and SOFT of the cosine of what classes they
        resemble (:func:`resemblance`); and between examples, besides, `LABELS` where they are
        of one class and -LABELS / (C - 1) where not.
    weights : ndarray
        (B + S,): with s examples of a class in the mean, those together weigh s / (s + EVEN) and
        the background the rest.
    """
    classes = int(number.max()) + 1
    few = len(background)
    centred = unit(np.vstack([background, examples]) - background.mean(0))
    soft = resemblance(centred, few, number)
    labels = np.zeros((len(centred), classes))
    labels[few:] = np.eye(classes)[number] - 1 / classes
    labels *= np.sqrt(LABELS * classes / (classes - 1))
    shots = len(number) / classes
    share = shots / (shots + EVEN)
    weights = np.full(len(centred), (1 - share) / few)
    weights[few:] = share / len(number)
    parts = [np.sqrt(1 - SOFT) * centred, np.sqrt(SOFT) * soft, labels]
    return np.hstack(parts), weights


def resemblance(centred: Floats, few: int, number: Indices) -> Floats:
    """Say which classes each image resembles.

    Parameters
    ----------
    centred : ndarray
        Unit vectors (B + S, D), the background first.
    few : int
        B.
    number : ndarray
        The class of each example, (S,).

    Returns
    -------
    ndarray
        (B + S, C): the softmax of `SHARPNESS` times the cosines to the classes' prototypes,
        centred on the background and in unit length.
    """
    examples = centred[few:]
    means = [examples[number == c].mean(0) for c in range(int(number.max()) + 1)]
    logits = SHARPNESS * centred @ unit(np.stack(means)).T
    soft = np.exp(logits - logits.max(1, keepdims=True))
    soft /= soft.sum(1, keepdims=True)
    return unit(soft - soft[:few].mean(0))
