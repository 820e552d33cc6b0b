"""The nearest example of every pixel under a learned L1 similarity, in tiles of bounded memory.

The similarity is that of G. Koch, R. Zemel and R. Salakhutdinov, "Siamese neural networks for
one-shot image recognition" (2015), section 3.1, taken between all pixels of two photos as in the
supplement of A. Shaban et al., "One-shot learning for semantic segmentation" (2017), section 2:
sigmoid(sum_c alpha_c |q_c - s_c| + beta). The sigmoid and beta change no order, and are left to
whoever needs them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# distances of one tile: what is held beside the features is a few times this
_TILE = 1 << 20
# unit roundoff of single precision
_ROUNDOFF = 2.0**-24


class Nearest(NamedTuple):
    """Of every query pixel, its most similar support pixel.

    Attributes
    ----------
    place : Tensor
        (Q,) int64, its row; of equally similar ones, the first.
    score : Tensor
        (Q,) float64: sum_c alpha_c |q_c - s_c| to it.
    """

    place: Tensor
    score: Tensor


@torch.no_grad()
def nearest_l1(query: Tensor, support: Tensor, weight: Tensor, tile: int | None = None) -> Nearest:
    r"""Return for every query feature the support feature of the largest weighted L1 sum.

    :math:`\sum_c w_c |q_c - s_c|` is the L1 distance of the channels of positive weight, scaled
    by it, less that of the negative ones. Both are taken in single precision, a tile of pairs at a
    time; those pairs that rounding could bring to the top are then decided by the sum itself in
    double precision. The answer is that of the sum over all pairs in double precision, ties
    included, and neither the Q x S x D differences nor the Q x S sums are ever held whole.

    Parameters
    ----------
    query : Tensor
        Features (Q, D), finite, in any floating type.
    support : Tensor
        Features (S, D), S at least 1.
    weight : Tensor
        One weight per feature, (D,), of any sign: that of a similarity is mostly negative.
    tile : int, optional
        Pairs that are looked at together; 2^20 by default.

    Returns
    -------
    Nearest
        ``place`` (Q,) and ``score`` (Q,), on the device of the query.

    Raises
    ------
    ValueError
        The shapes do not fit, or there is no support.

    Examples
    --------
    >>> query = torch.tensor([[0.0, 1.0], [3.0, 3.0]])
    >>> support = torch.tensor([[0.0, 0.0], [2.0, 4.0], [0.0, 0.0]])
    >>> nearest_l1(query, support, torch.tensor([-1.0, -0.5]))
    Nearest(place=tensor([0, 1]), score=tensor([-0.5000, -1.5000], dtype=torch.float64))
    """
    _check(query, support, weight)
    # what is flat gives many equal pixels: each is looked at once, at its first place
    places = _distinct(support)
    support = support[places].double()
    weight = weight.detach().double()
    sides = [(side, weight[side].abs()) for side in (weight < 0, weight > 0)]
    examples = [(support[:, side] * size).float().contiguous() for side, size in sides]
    slack_support = sum(float(part.abs().sum(1).max()) for part in examples)
    step = max(1, (tile or _TILE) // len(support))
    place = torch.empty(len(query), dtype=torch.long, device=query.device)
    score = torch.empty(len(query), dtype=torch.float64, device=query.device)
    for start in range(0, len(query), step):
        rows = query[start : start + step].double()
        pixels = [(rows[:, side] * size).float().contiguous() for side, size in sides]
        away, towards = (_l1(q, s) for q, s in zip(pixels, examples, strict=True))
        # rounding: of the inputs, of each difference, and of a sum of D of them
        lengths = sum(part.abs().sum(1) for part in pixels) + slack_support
        most = away.amax(1) + towards.amax(1)
        slack = _ROUNDOFF * ((query.shape[1] + 4) * most + 4 * lengths)
        away -= towards
        close = away <= (away.amin(1) + 4 * slack)[:, None]
        best = _decide(rows, support, weight, close, step)
        place[start : start + step], score[start : start + step] = places[best.place], best.score
    return Nearest(place, score)


def _check(query: Tensor, support: Tensor, weight: Tensor) -> None:
    if (
        query.ndim != 2
        or support.ndim != 2
        or not query.shape[1:] == support.shape[1:] == (*weight.shape,)
    ):
        raise ValueError(
            f"query {tuple(query.shape)}, support {tuple(support.shape)} and weight"
            f" {tuple(weight.shape)} do not fit (Q, D), (S, D) and (D,)"
        )
    if not len(support):
        raise ValueError("no support pixel to be near to")


def _l1(query: Tensor, support: Tensor) -> Tensor:
    """Return the L1 distances (Q, S) of single-precision features."""
    if not query.shape[1]:
        return query.new_zeros(len(query), len(support))
    if query.device.type != "cpu":
        return torch.cdist(query, support, p=1.0)
    import faiss

    # its inner loop is many times that of torch.cdist for p = 1
    found = faiss.pairwise_distances(query.numpy(), support.numpy(), faiss.METRIC_L1)
    return torch.from_numpy(found)


def _distinct(rows: Tensor) -> Tensor:
    """Return the places (n,) at which different rows (S, D) first appear, in their order."""
    values = np.ascontiguousarray(rows.detach().cpu().double().numpy())
    keys = values.view(np.dtype((np.void, max(1, values[0].nbytes))))[:, 0]
    first = np.unique(keys, return_index=True)[1]
    return torch.from_numpy(np.sort(first)).to(rows.device)


def _decide(rows: Tensor, support: Tensor, weight: Tensor, close: Tensor, step: int) -> Nearest:
    """Return the best of the close pairs (Q, S) by the sum itself, the first where they tie."""
    pairs = close.nonzero()
    at_once = max(1, _TILE // max(1, rows.shape[1]))
    sums = torch.cat(
        [
            ((rows[part[:, 0]] - support[part[:, 1]]).abs_() * weight).sum(1)
            for part in torch.split(pairs, at_once)
        ]
    )
    # pairs come row by row, so that the first of equal ones is the first of the support
    score = sums.new_full((len(rows),), -torch.inf).scatter_reduce(0, pairs[:, 0], sums, "amax")
    top = (sums == score[pairs[:, 0]]).nonzero()[:, 0]
    place = pairs.new_full((len(rows),), len(support)).scatter_reduce(
        0, pairs[top, 0], pairs[top, 1], "amin"
    )
    return Nearest(place, score)
