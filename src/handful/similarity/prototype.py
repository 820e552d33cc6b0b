"""Prototypes of masked features, and the learned similarity of a pixel to one.

X. Shi et al., "Multi-similarity based hyperrelation network for few-shot segmentation" (2022),
equations 2 to 4.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

Interaction = Literal["sum", "product"]

# what rounding may take from a value that equals the mean
_SLACK = 1e-6


def foreground(masks: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bring masks to the grid of a map, and choose the pixels that stand for the object (eq. 2).

    A mask is resized (bilinear, aligned corners); the pixels at or above the mean of its positive
    values are kept. An object too small to leave any keeps the one pixel of which it covers most.
    An empty mask keeps none.

    Parameters
    ----------
    masks : Tensor
        (K, H, W), of numbers in [0, 1] or of bool.
    size : tuple of int
        Height and width (h, w) of the map.

    Returns
    -------
    kept : Tensor
        (K, h, w), bool.
    weight : Tensor
        (K, h, w), float32 in [0, 1]: the resized mask.

    Examples
    --------
    >>> import torch
    >>> mask = torch.zeros(1, 5, 5)
    >>> mask[0, :3, :2] = 1
    >>> kept, weight = foreground(mask, (3, 3))
    >>> kept[0].int()
    tensor([[1, 0, 0],
            [1, 0, 0],
            [0, 0, 0]], dtype=torch.int32)
    """
    if masks.ndim != 3:
        raise ValueError(f"masks {tuple(masks.shape)} are not (K, H, W)")
    masks = masks.detach().to(torch.float32)[:, None]
    weight = interpolate(masks, size, mode="bilinear", align_corners=True)[:, 0]
    positive = weight > 0
    found = positive.sum((1, 2))
    mean = (weight * positive).sum((1, 2)) / found.clamp_min(1)
    kept = positive & (weight >= mean[:, None, None] - _SLACK)
    lost = (found == 0) & (masks.amax((1, 2, 3)) > 0)
    for shot in lost.nonzero().flatten().tolist():
        weight[shot] = adaptive_avg_pool2d(masks[shot], size)[0]
        kept[shot].view(-1)[weight[shot].argmax()] = True
    return kept, weight


def masked_mean(features: Tensor, kept: Tensor, weight: Tensor | None = None) -> Tensor:
    r"""Return the prototypes: the mean feature of the kept pixels of every shot (eq. 3).

    Parameters
    ----------
    features : Tensor
        (K, C, h, w).
    kept : Tensor
        (K, h, w), bool, see `foreground`.
    weight : Tensor, optional
        (K, h, w): features are multiplied by it first; the sum is still divided by the number of
        kept pixels.

    Returns
    -------
    Tensor
        Prototypes (K, C); zero where no pixel is kept.

    Examples
    --------
    >>> import torch
    >>> masked_mean(torch.arange(4.0).reshape(1, 1, 2, 2), torch.tensor([[[0, 1], [0, 1]]]).bool())
    tensor([[2.]])
    """
    share = kept.to(features.dtype)
    share = share if weight is None else share * weight.to(features.dtype)
    total = torch.einsum("kchw,khw->kc", features, share)
    return total / kept.sum((1, 2)).clamp_min(1)[:, None]


def prototype_similarity(
    query: Tensor, prototypes: Tensor, weight: Tensor, interaction: Interaction = "sum"
) -> Tensor:
    r"""Return the generative prototype similarity of every pixel to every prototype (eq. 4).

    :math:`\mathrm{sigmoid}(W [x_p \| x_q])` splits into two products, :math:`w_p x_p + w_q x_q`:
    the map of 2 C channels is never built, and the query's part is computed once for all
    prototypes.

    Parameters
    ----------
    query : Tensor
        A map (C, h, w).
    prototypes : Tensor
        (K, C).
    weight : Tensor
        W, (2 C,): first the prototype's part, then the query's.
    interaction : {"sum", "product"}
        ``sum`` is the paper's, in which a prototype shifts the whole map alike; ``product`` puts
        :math:`x_p \odot x_q` in the place of :math:`x_p`, so that it also turns the direction.

    Returns
    -------
    Tensor
        Similarities (K, h, w) in (0, 1); differentiable.

    Raises
    ------
    ValueError
        The shapes do not fit, or no such interaction.

    Examples
    --------
    >>> import torch
    >>> query = torch.tensor([0.0, 1.0]).reshape(1, 1, 2)
    >>> prototype_similarity(query, torch.tensor([[0.0], [3.0]]), torch.tensor([1.0, 2.0]))
    tensor([[[0.5000, 0.8808]],
    <BLANKLINE>
            [[0.9526, 0.9933]]])
    """
    channels, height, width = query.shape
    if prototypes.shape[1:] != (channels,) or weight.shape != (2 * channels,):
        raise ValueError(
            f"query {tuple(query.shape)}, prototypes {tuple(prototypes.shape)} and weight"
            f" {tuple(weight.shape)} do not fit (C, h, w), (K, C) and (2 C,)"
        )
    if interaction not in get_args(Interaction):
        raise ValueError(f"interaction {interaction!r}: is one of {get_args(Interaction)}")
    prototypes = prototypes.to(query.dtype)
    of_prototype, of_query = weight.to(query.dtype).chunk(2)
    pixels = query.reshape(channels, height * width)
    if interaction == "product":
        logits = (prototypes * of_prototype + of_query) @ pixels
    else:
        logits = (prototypes @ of_prototype)[:, None] + (of_query @ pixels)[None]
    found: Tensor = logits.sigmoid().reshape(len(prototypes), height, width)
    return found
