"""Similarity attention: where in each image lies what makes a pair alike, or unlike.

M. Zheng, S. Karanam, T. Chen, R. Radke, Z. Wu, "Visual similarity attention", IJCAI 2022,
section 3.1. Of the unit features f of a tuple comes a weight vector w; each image i is scored by
s_i = w . f_i, and its map is (equation 1)

    M_i = ReLU(sum_k alpha_k A_k),    alpha_k = GAP(d s_i / d A_k)

With w constant, z = W mean(A) + b and f = z / |z|, that gradient is known without differentiation:

    alpha = W^T (w - (w . f) f) / (H W |z|)

so an explanation costs one pass of the network. `attention` is that form for any head that is
affine in the map, `attention_by_autograd` the general one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from handful.backbones.cut import Cut, LinearHead

Kind = Literal["same", "different", "triplet", "quadruplet"]
"""Two of one class; two of different classes; anchor, positive, negative; the same with a second
negative."""

IMAGES: dict[Kind, int] = {"same": 2, "different": 2, "triplet": 3, "quadruplet": 4}
"""How many images a tuple of each kind has."""

Pooling = Literal["mean", "local"]
"""``mean``: the gradient's mean over positions weighs a channel, as in equation 1. ``local``: each
position has its own weight, so that the map adds up to what the head makes of it; the two are
equal for a head that takes the mean over positions."""


def weight_vector(features: Sequence[Tensor], kind: Kind) -> Tensor:
    """Return the weight vectors w of tuples of unit features (section 3.1).

    Parameters
    ----------
    features : sequence of Tensor
        One (..., D) for each image of the tuple, the anchor first.
    kind : {"same", "different", "triplet", "quadruplet"}
        What the tuple is.

    Returns
    -------
    Tensor
        (..., D): ``1 - |f1 - f2|`` for two of one class, ``|f1 - f2|`` for two of different
        classes, their product over the positive and every negative for more.

    Raises
    ------
    ValueError
        Another number of features than the kind has images.

    Examples
    --------
    >>> anchor, positive = torch.tensor([0.8, 0.6]), torch.tensor([0.6, 0.8])
    >>> weight_vector([anchor, positive], "same")
    tensor([0.8000, 0.8000])
    >>> weight_vector([anchor, positive, torch.tensor([0.0, 1.0])], "triplet")
    tensor([0.6400, 0.3200])
    """
    if len(features) != IMAGES[kind]:
        raise ValueError(f"{kind} takes {IMAGES[kind]} images, not {len(features)}")
    anchor, *others = features
    alike = 0 if kind == "different" else 1
    return tuple_weights(anchor, others[:alike], others[alike:])


def tuple_weights(anchor: Tensor, positive: Sequence[Tensor], negative: Sequence[Tensor]) -> Tensor:
    """Return the weight vector w of an anchor with any number of positives and negatives.

    The product of ``1 - |fa - fp|`` over the positives and of ``|fa - fn|`` over the negatives, as
    section 3.1 multiplies them for the quadruplet; unit features (..., D).
    """
    weights = torch.ones_like(anchor)
    for other in positive:
        weights = weights * (1 - (anchor - other).abs())
    for other in negative:
        weights = weights * (anchor - other).abs()
    return weights


def direction(vectors: Tensor, weights: Tensor, centred: bool = True) -> Tensor:
    """Return the gradient of w . z/|z| by z, with w constant: (w - (w . f) f) / |z|.

    Parameters
    ----------
    vectors : Tensor
        z, (..., D), of any length but zero.
    weights : Tensor
        w, (..., D) or what broadcasts to it.
    centred : bool
        False holds the length |z| constant too, which leaves w / |z|: the map of a bias-free head,
        before its ReLU, then adds up to w . f over the positions, and no longer to zero.
    """
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp_min(1e-12)
    found = weights
    if centred:
        unit = vectors / length
        found = weights - (weights * unit).sum(-1, keepdim=True) * unit
    gradient: Tensor = found / length
    return gradient


def attention(
    maps: Tensor,
    vectors: Tensor,
    weights: Tensor,
    head: LinearHead,
    pooling: Pooling = "mean",
    centred: bool = True,
) -> Tensor:
    """Return the maps of scores w . f in closed form.

    Parameters
    ----------
    maps : Tensor
        A, (N, C, H, W).
    vectors : Tensor
        z, (N, D): what `head` makes of the maps.
    weights : Tensor
        w, (N, D).
    head : LinearHead
        The part of the network between them.
    pooling : {"mean", "local"}
        See `Pooling`.
    centred : bool
        See `direction`.

    Returns
    -------
    Tensor
        M, (N, H, W), not negative. It can be differentiated.
    """
    gradient = direction(vectors, weights, centred)
    return weighted(maps, head.adjoint(gradient, _size(maps)), pooling)


def attention_by_autograd(
    maps: Tensor,
    vectors: Tensor,
    weights: Tensor,
    pooling: Pooling = "mean",
    create_graph: bool = False,
) -> Tensor:
    """Return the maps of scores w . f of any network, at any of its maps.

    Parameters
    ----------
    maps, vectors, weights, pooling
        As for `attention`; `vectors` were computed from `maps` with gradients on. The gradient
        also goes through `weights` where they were not detached: the maps then differ much.
    create_graph : bool
        Whether the result can itself be differentiated.

    Returns
    -------
    Tensor
        M, (N, H, W), not negative.
    """
    scores = (weights * normalize(vectors, dim=-1)).sum()
    (gradient,) = torch.autograd.grad(scores, maps, retain_graph=True, create_graph=create_graph)
    return weighted(maps if create_graph else maps.detach(), gradient, pooling)


def weighted(maps: Tensor, gradient: Tensor, pooling: Pooling = "mean") -> Tensor:
    """Return ReLU(sum_k alpha_k A_k) of maps (N, C, H, W) and a score's gradients by them.

    Parameters
    ----------
    maps : Tensor
        (N, C, H, W)
    gradient : Tensor
        (N, C, H, W), or (N, C, 1, 1) where it is the same at every position.
    pooling : {"mean", "local"}
        See `Pooling`.
    """
    if gradient.shape[2:] == (1, 1):
        gradient = gradient.flatten(1)
    elif pooling == "mean":
        gradient = torch.mean(gradient, dim=(2, 3))
    else:
        return torch.relu((maps * gradient).sum(1))
    # a product of matrices, which never holds a second map of all channels
    flat = torch.bmm(gradient[:, None], maps.flatten(2))
    return torch.relu(flat.view(len(maps), *_size(maps)))


def similarity_attention(
    network: Cut,
    images: Tensor,
    kind: Kind,
    pooling: Pooling = "mean",
    through_weights: bool = False,
    create_graph: bool = False,
) -> Tensor:
    """Explain a batch of tuples: one map for each image.

    Parameters
    ----------
    network : Cut
        See `handful.backbones.cut`; in closed form where it has a head.
    images : Tensor
        (R, N, ...) inputs of the network, R as many as `kind` has images, the anchors first.
    kind : {"same", "different", "triplet", "quadruplet"}
        What the tuples are.
    pooling : {"mean", "local"}
        See `Pooling`.
    through_weights : bool
        Whether the gradient also goes through w, which is by default a constant.
    create_graph : bool
        Whether the maps can be differentiated, for training.

    Returns
    -------
    Tensor
        (R, N, h, w), not negative.

    Examples
    --------
    >>> from handful.backbones.cut import cut
    >>> from handful.backbones.handful_base import HandfulBase
    >>> network = cut(HandfulBase().load())
    >>> triplets = torch.rand(3, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> similarity_attention(network, triplets, "triplet").shape
    torch.Size([3, 2, 2, 2])
    """
    closed = network.head is not None and not through_weights
    flat = images.flatten(0, 1)
    if not closed and not flat.requires_grad:
        flat = flat.detach().requires_grad_()  # frozen weights alone would leave no gradient
    with torch.set_grad_enabled(create_graph or not closed):
        maps, vectors = network.both(flat)
        found = attention_of(
            network, maps, vectors, images.shape[0], kind, pooling, through_weights, create_graph
        )
    return found.view(*images.shape[:2], *_size(maps))


def attention_of(
    network: Cut,
    maps: Tensor,
    vectors: Tensor,
    roles: int,
    kind: Kind,
    pooling: Pooling = "mean",
    through_weights: bool = False,
    create_graph: bool = False,
) -> Tensor:
    """Explain tuples whose maps and vectors are there already: (R * N, h, w).

    The parameters are those of `similarity_attention`; `roles` is R, and the rows of `maps` and
    `vectors` are the R roles one after the other.
    """
    features = normalize(vectors, dim=-1).view(roles, -1, vectors.shape[1])
    weights = weight_vector(list(features), kind).expand_as(features)
    if network.head is not None and not through_weights:
        return attention(maps, vectors, weights.flatten(0, 1).detach(), network.head, pooling)
    if not through_weights:
        weights = weights.detach()
        return attention_by_autograd(maps, vectors, weights.flatten(0, 1), pooling, create_graph)
    return _through_weights(maps, features, weights, pooling, create_graph)


def _through_weights(
    maps: Tensor, features: Tensor, weights: Tensor, pooling: Pooling, create_graph: bool
) -> Tensor:
    # w joins the images of a tuple: the score of one must not be differentiated by another
    parts = []
    for role, scores in enumerate((weights * features).sum(-1)):
        (gradient,) = torch.autograd.grad(
            scores.sum(), maps, retain_graph=True, create_graph=create_graph
        )
        own = slice(role * len(scores), (role + 1) * len(scores))
        parts.append(weighted(maps[own], gradient[own], pooling))
    return torch.cat(parts)


def _size(maps: Tensor) -> tuple[int, int]:
    return maps.shape[2], maps.shape[3]
