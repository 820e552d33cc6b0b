"""The weighted L1 distance of Koch's twin network, in tiles of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

# elements of one tile: on the CPU it stays in the cache, on a GPU it fills the device
_CPU_TILE = 1 << 18
_GPU_TILE = 1 << 24


def weighted_l1(query: Tensor, support: Tensor, weight: Tensor, tile: int | None = None) -> Tensor:
    r"""Return :math:`\sum_d w_d |q_d - s_d|` for every query and every support feature.

    This is the argument of the last sigmoid of Koch, Zemel and Salakhutdinov, "Siamese neural
    networks for one-shot image recognition" (2015), section 3.1. The Q x S x D differences are
    never held whole, neither forward nor backward: the backward pass computes them again.

    Parameters
    ----------
    query : Tensor
        Features (..., Q, D).
    support : Tensor
        Features (..., S, D) with the leading dimensions of the query.
    weight : Tensor
        One weight per feature, (D,), of any sign.
    tile : int, optional
        Elements of the largest intermediate; by default 2^18 on the CPU and 2^24 on a GPU. A
        single difference of D elements is always held.

    Returns
    -------
    Tensor
        Sums (..., Q, S), differentiable once in all three arguments.

    Examples
    --------
    >>> import torch
    >>> query = torch.tensor([[0.0, 1.0]])
    >>> support = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> weighted_l1(query, support, torch.tensor([1.0, -0.5]))
    tensor([[0.0000, 1.5000]])
    """
    if query.shape[:-2] != support.shape[:-2] or not (
        query.shape[-1:] == support.shape[-1:] == weight.shape
    ):
        raise ValueError(
            f"query {tuple(query.shape)}, support {tuple(support.shape)} and weight "
            f"{tuple(weight.shape)} do not fit (..., Q, D), (..., S, D) and (D,)"
        )
    tile = tile or (_CPU_TILE if query.device.type == "cpu" else _GPU_TILE)
    apply = cast("Any", _WeightedL1.apply)
    flat: Tensor = apply(
        query.reshape(-1, *query.shape[-2:]), support.reshape(-1, *support.shape[-2:]), weight, tile
    )
    return flat.reshape(*query.shape[:-1], support.shape[-2])


def _tiles(query: Tensor, support: Tensor, tile: int) -> Iterator[tuple[slice, slice, slice]]:
    """Cut (B, Q, S) so that a block times D stays within `tile` elements."""
    (batch, queries, width), supports = query.shape, support.shape[1]
    step_s = max(1, min(supports, tile // max(width, 1)))
    step_q = max(1, min(queries, tile // max(width * step_s, 1)))
    step_b = max(1, tile // max(width * step_s * step_q, 1))
    for b in range(0, batch, step_b):
        for q in range(0, queries, step_q):
            for s in range(0, supports, step_s):
                yield slice(b, b + step_b), slice(q, q + step_q), slice(s, s + step_s)


class _WeightedL1(Function):
    """Forward and backward in the same tiles, so that nothing of size Q x S x D is saved."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, support: Tensor, weight: Tensor, tile: int) -> Tensor:
        ctx.save_for_backward(query, support, weight)
        ctx.tile = tile
        out = query.new_empty(query.shape[0], query.shape[1], support.shape[1])
        # mixed precision would round the weights, and with them the order of close scores
        with torch.autocast(query.device.type, enabled=False):
            for b, q, s in _tiles(query, support, tile):
                gap = query[b, q, None] - support[b, None, s]
                out[b, q, s] = gap.abs_() @ weight
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, support, weight = ctx.saved_tensors
        to_query, to_support = torch.zeros_like(query), torch.zeros_like(support)
        to_weight = torch.zeros_like(weight)
        for b, q, s in _tiles(query, support, ctx.tile):
            gap = query[b, q, None] - support[b, None, s]
            part = grad[b, q, s]
            # |gap| = gap sign(gap): one product serves the weight, its sign the features
            to_weight += gap.abs().flatten(0, 2).mT @ part.flatten()
            gap.sign_().mul_(part[..., None])
            to_query[b, q] += gap.sum(2)
            to_support[b, s] -= gap.sum(1)
        return to_query.mul_(weight), to_support.mul_(weight), to_weight, None
