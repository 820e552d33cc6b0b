"""How much a pixel resembles an example's foreground: the mean positive cosine, in tiles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.linalg import vector_norm
from torch.nn.functional import normalize

# elements of one tile: on the CPU it stays in the cache, on a GPU it fills the device
_CPU_TILE = 1 << 18
_GPU_TILE = 1 << 24
_EPSILON = 1e-12


def dense_cosine(query: Tensor, support: Tensor, tile: int | None = None) -> Tensor:
    r"""Return the mean over the support of the positive part of the cosine.

    :math:`CS(x_q) = \frac1S \sum_s \mathrm{ReLU}(\cos(x_q, x_s))`: X. Shi et al., "Multi-similarity
    based hyperrelation network for few-shot segmentation" (2022), equation 5, whose sum is taken
    over the support's foreground pixels. The Q x S cosines are never held whole, neither forward
    nor backward: the backward pass computes them again.

    Parameters
    ----------
    query : Tensor
        Features (Q, D), such as all pixels of a map; they need not have unit length.
    support : Tensor
        Features (S, D): the foreground pixels alone, in any floating type. None (S = 0) resemble
        nothing: 0 everywhere.
    tile : int, optional
        Elements of the largest intermediate; by default 2^18 on the CPU and 2^24 on a GPU.

    Returns
    -------
    Tensor
        Similarities (Q,) in [0, 1], of the query's type; differentiable once in both arguments.
        A feature of length zero has cosine 0 to everything.

    Raises
    ------
    ValueError
        The shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> query = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> dense_cosine(query, torch.tensor([[1.0, 0.0], [-3.0, 0.0]]))
    tensor([0.5000, 0.0000])
    """
    check_pixels(query, support)
    if not len(support):
        return query.new_zeros(len(query))
    apply = cast("Any", _MeanPositive.apply)
    # the query's length leaves the sum, so that no copy of the map is made
    products: Tensor = apply(query, normalize(support.to(query.dtype), dim=1), tile)
    lengths: Tensor = vector_norm(query, dim=1).clamp_min(_EPSILON)
    return products / lengths


def check_pixels(query: Tensor, support: Tensor) -> None:
    """Refuse features that are not (Q, D) and (S, D)."""
    if query.ndim != 2 or support.ndim != 2 or query.shape[1] != support.shape[1]:
        raise ValueError(
            f"query {tuple(query.shape)} and support {tuple(support.shape)}"
            " do not fit (Q, D) and (S, D)"
        )


def tiles(query: Tensor, support: Tensor, tile: int | None) -> Iterator[tuple[slice, slice]]:
    """Cut Q x S into blocks of at most `tile` products, as square as they can be."""
    queries, supports = len(query), len(support)
    tile = tile or (_CPU_TILE if query.device.type == "cpu" else _GPU_TILE)
    side = max(1, int(tile**0.5))
    step_s = min(supports, max(side, tile // max(queries, 1)))
    step_q = max(1, tile // step_s)
    for q in range(0, queries, step_q):
        for s in range(0, supports, step_s):
            yield slice(q, q + step_q), slice(s, s + step_s)


class _MeanPositive(Function):
    """The mean over s of ReLU(q . s), with forward and backward in the same tiles."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, support: Tensor, tile: int | None) -> Tensor:
        ctx.save_for_backward(query, support)
        ctx.tile = tile
        out = query.new_zeros(len(query))
        # mixed precision would round the cosines
        with torch.autocast(query.device.type, enabled=False):
            for q, s in tiles(query, support, tile):
                out[q] += (query[q] @ support[s].mT).relu_().sum(1)
        return out.div_(len(support))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        query, support = ctx.saved_tensors
        grad = grad / len(support)
        to_query, to_support = torch.zeros_like(query), torch.zeros_like(support)
        for q, s in tiles(query, support, ctx.tile):
            gate = (query[q] @ support[s].mT).gt_(0).mul_(grad[q, None])
            to_query[q] += gate @ support[s]
            to_support[s] += gate.mT @ query[q]
        return to_query, to_support, None
