"""What a score of a picture is made of: its gradient, and its shares over the positions.

A score of a vector's direction alone, as a cosine is, has a gradient whose map adds up to zero.
With the length |z| held constant, s f / |z| is added to it, and the map of a bias-free head adds up
to the score itself (Euler's theorem for |z| s(z)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from handful.backbones.cut import Cut
from handful.backbones.embedder import NetworkEmbedder
from handful.methods.matcher import Image, Matcher
from handful.methods.similarity_attention import Pooling, weighted
from handful.methods.support_set import SupportSet

Score = Callable[[Tensor], Tensor]
"""What is explained: vectors (N, D) of a network, of any length, to scores (N,); it has to be
differentiable. Whoever has such a function of an image's vector can ask why it is what it is."""


@dataclass(frozen=True, eq=False)
class View:
    """Pictures as a network sees them."""

    matcher: Matcher
    chosen: str
    embedder: NetworkEmbedder
    network: Cut
    images: list[Image]
    pixels: Tensor
    maps: Tensor
    vectors: Tensor

    def attention(self, gradient: Tensor, pooling: Pooling) -> Tensor:
        """Return the maps (N, h, w) of a score whose gradients by the vectors are (N, D)."""
        head = self.network.head
        if head is not None:
            with torch.no_grad():
                size = (self.maps.shape[2], self.maps.shape[3])
                return weighted(self.maps, head.adjoint(gradient, size), pooling)
        (by_maps,) = torch.autograd.grad(self.vectors, self.maps, gradient)
        return weighted(self.maps.detach(), by_maps, pooling)


def gradient_of(total: Callable[[Tensor], Tensor], vectors: Tensor) -> Tensor:
    """Return the gradient (N, D) of a sum of scores by the vectors.

    Examples
    --------
    >>> gradient_of(lambda z: (z**2).sum(), torch.tensor([[1.0, 2.0]])).tolist()
    [[2.0, 4.0]]
    """
    with torch.enable_grad():
        leaf = vectors.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(total(leaf), leaf)
    return gradient


def margin(matcher: Matcher, vectors: Tensor, likes: int) -> Tensor:
    """Return the similarity to the positives less that to the negatives, each their mean.

    Parameters
    ----------
    matcher : Matcher
        What compares.
    vectors : Tensor
        (1 + likes + unlikes, D): the anchor, the positives, the negatives.
    likes : int
        How many positives.
    """
    pairs = matcher.compare(vectors[:1], vectors[1:])[0]
    parts = (pairs[:likes], -pairs[likes:])
    return torch.stack([part.mean() for part in parts if len(part)]).sum()


def margin_shares(matcher: Matcher, vectors: Tensor, likes: int) -> Tensor:
    """Return what turns the gradient of `margin` into shares of it; 0 for another measure."""
    with torch.no_grad():
        pairs = matcher.compare(vectors[:1], vectors[1:])[0]
        doubled = matcher.compare(2 * vectors[:1], vectors[1:])[0]
        if not torch.allclose(pairs, doubled, rtol=1e-4):
            return torch.zeros_like(vectors)
        own = margin(matcher, vectors, likes)[None]
        like, unlike = pairs[:likes] / max(likes, 1), torch.zeros_like(pairs[likes:])
        return share(torch.cat([own, like, unlike]), vectors)


def share(value: Tensor, vectors: Tensor) -> Tensor:
    """Return s f / |z|: the gradient of |z| s(z) by z, over |z|, less that of s.

    Parameters
    ----------
    value : Tensor
        s, (N,); a score below zero has nothing to share out and counts as 0.
    vectors : Tensor
        z, (N, D).

    Examples
    --------
    >>> vectors = torch.tensor([[3.0, 4.0]])
    >>> added = share(torch.tensor([0.5]), vectors)
    >>> float((added * vectors).sum())
    0.5
    """
    squared = (vectors * vectors).sum(1, keepdim=True).clamp_min(1e-24)
    return value.clamp_min(0)[:, None] * vectors / squared


def class_score(support: SupportSet, way: int, query: Tensor) -> Score:
    """Return the score of a class: by its prototype, or by its example nearest to the query."""
    matcher = support.matcher
    if support.prototypes is not None:
        target = support.prototypes[way].to(query.device)
    else:
        shots = support.features[support.index == way].to(query.device)
        with torch.no_grad():
            target = shots[int(matcher.compare(query, shots)[0].argmax())]
    return lambda vectors: matcher.compare(vectors, target[None])[:, 0]
