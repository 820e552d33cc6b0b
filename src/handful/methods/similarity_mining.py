"""Similarity mining: train until nothing that decides is left outside the attention.

M. Zheng, S. Karanam, T. Chen, R. Radke, Z. Wu, "Visual similarity attention", IJCAI 2022,
section 3.2. What the attention marks is erased softly,

    x* = x (1 - sigmoid(a (M - b)))

the masked images go through the same network, and a loss asks that they no longer satisfy the
tuple's criterion (equation 2). The whole objective is L = L_ml + gamma L_sm (equation 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import interpolate, normalize

from handful.backbones.cut import Cut
from handful.methods.similarity_attention import IMAGES, Kind, attention_of

GAMMA = 0.2
"""The weight of L_sm in the whole objective."""


def soft_mask(images: Tensor, maps: Tensor, slope: float = 10.0, threshold: float = 0.5) -> Tensor:
    """Erase softly what the maps mark.

    Parameters
    ----------
    images : Tensor
        x, (N, C, H, W), normalised, so that 0 is the mean colour.
    maps : Tensor
        (N, h, w), not negative. Each is divided by its maximum, because raw maps are so small
        that the mask would be constant, and resized bilinearly; one that is all zero masks
        nothing.
    slope, threshold : float
        a and b of section 3.2.

    Returns
    -------
    Tensor
        x*, (N, C, H, W).

    Examples
    --------
    >>> masked = soft_mask(torch.ones(1, 1, 2, 2), torch.tensor([[[0.0, 3.0], [1.5, 0.0]]]))
    >>> [round(float(value), 4) for value in masked.flatten()]
    [0.9933, 0.0067, 0.5, 0.9933]
    """
    resized = interpolate(maps[:, None], images.shape[-2:], mode="bilinear", align_corners=False)
    peak = resized.amax((2, 3), keepdim=True)
    marked = peak > 0
    scaled = resized / torch.where(marked, peak, torch.ones_like(peak))
    kept = 1 - torch.sigmoid(slope * (scaled - threshold))
    return images * torch.where(marked, kept, torch.ones_like(kept))


def mining_loss(features: Sequence[Tensor], kind: Kind, failing: bool = False) -> Tensor:
    """Return L_sm of the features of masked tuples, averaged over the batch.

    Parameters
    ----------
    features : sequence of Tensor
        Unit features (N, D) of the masked images, one for each image of the tuple.
    kind : {"same", "triplet", "quadruplet"}
        ``same``: -|f1 - f2| of a positive pair; ``triplet``: |fa - fp| - |fa - fn|;
        ``quadruplet``: the triplets of both negatives, added.
    failing : bool
        Section 3.2 says of triplets what it says of pairs: with what decides erased, their
        criterion is to fail. Equation 2 as printed asks that it still hold. True turns its sign.

    Raises
    ------
    ValueError
        A pair of different classes, which is not mined, or a wrong number of features.

    Examples
    --------
    >>> first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]])
    >>> round(float(mining_loss([first, second], "same")), 4)
    -0.8944
    """
    if kind == "different" or len(features) != IMAGES[kind]:
        raise ValueError(f"{len(features)} images, {kind}: mine a positive pair or more")
    anchor, positive, *negatives = features
    near = vector_norm(anchor - positive, dim=-1)
    if kind == "same":
        return -torch.mean(near)
    far = [vector_norm(anchor - negative, dim=-1) for negative in negatives]
    gaps = torch.stack([near - distance for distance in far])
    loss = torch.mean(torch.sum(gaps, dim=0))
    return -loss if failing else loss


@dataclass(frozen=True)
class SimilarityMining:
    """The loss L_sm of tuples of images, from attention to masked features.

    Attributes
    ----------
    slope, threshold : float
        Of the soft mask.
    through_weights : bool
        Whether the attention's gradient also goes through w.
    failing : bool
        See `mining_loss`.

    Examples
    --------
    A step of training adds it to a loss of the features that it was given:

    >>> from handful.backbones.cut import cut
    >>> from handful.backbones.handful_base import HandfulBase
    >>> network = cut(HandfulBase(frozen=False))
    >>> images = torch.rand(3, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> maps, vectors = network.both(images.flatten(0, 1))
    >>> loss = SimilarityMining()(network, images, maps, vectors, "triplet")
    >>> loss.requires_grad, loss.shape
    (True, torch.Size([]))
    """

    slope: float = 10.0
    threshold: float = 0.5
    through_weights: bool = False
    failing: bool = False

    def __call__(
        self, network: Cut, images: Tensor, maps: Tensor, vectors: Tensor, kind: Kind
    ) -> Tensor:
        """Return L_sm.

        Parameters
        ----------
        network : Cut
            The network in training, cut at the map that attends.
        images : Tensor
            (R, N, C, H, W), normalised, the anchors first.
        maps, vectors : Tensor
            What ``network.both(images.flatten(0, 1))`` gave, with gradients on.
        kind : {"same", "triplet", "quadruplet"}
            What the tuples are.

        Returns
        -------
        Tensor
            A scalar, differentiable through the attention itself: second-order gradients.
        """
        roles = images.shape[0]
        attended = attention_of(
            network,
            maps,
            vectors,
            roles,
            kind,
            through_weights=self.through_weights,
            create_graph=True,
        )
        masked = soft_mask(images.flatten(0, 1), attended, self.slope, self.threshold)
        found = normalize(network.both(masked)[1], dim=-1).view(roles, -1, vectors.shape[1])
        return mining_loss(list(found), kind, self.failing)


def objective(metric_loss: Tensor, mined: Tensor, gamma: float = GAMMA) -> Tensor:
    """Return the whole objective, L = L_ml + gamma L_sm (equation 3)."""
    return metric_loss + gamma * mined
