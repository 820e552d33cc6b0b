"""Losses of metric learning on the unit features of a batch, and their rivals by name.

The tuples of a batch are all there are: every pair, every triplet, every quadruplet of images with
the right classes. Only those that still violate their margin count, as the others' zeros would
drown them late in training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from handful.errors import InputError

LossName = Literal[
    "contrastive",
    "triplet",
    "quadruplet",
    "lifted-structure",
    "n-pair",
    "proxy-nca",
    "multi-similarity",
]
Loss = Callable[[Tensor, Tensor], Tensor]
"""From unit features (N, D) and classes (N,) to a scalar."""


def contrastive(features: Tensor, index: Tensor, margin: float = 0.7) -> Tensor:
    """Pull pairs of one class together, push others apart to a margin.

    R. Hadsell, S. Chopra, Y. LeCun, "Dimensionality reduction by learning an invariant mapping",
    2006, equation 4, on unit vectors; same and different pairs weigh alike.

    Examples
    --------
    >>> corners = torch.eye(2)[[0, 0, 1, 1]]
    >>> float(contrastive(corners, torch.tensor([0, 0, 1, 1]))) < 1e-6
    True
    """
    distance = distances(features)
    i, j = torch.triu_indices(len(index), len(index), 1, device=index.device)
    same = index[i] == index[j]
    gaps = distance[i, j]
    return _mean(gaps[same] ** 2) + _mean(relu(margin - gaps[~same]) ** 2)


def triplet(features: Tensor, index: Tensor, margin: float = 0.2) -> Tensor:
    """Ask that every negative be further from an anchor than a positive, by a margin.

    F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet", 2015, equation 3, with distances for their
    squares; the mean over the triplets of the batch that violate it.

    Examples
    --------
    >>> corners = torch.eye(2)[[0, 0, 1, 1]]
    >>> float(triplet(corners, torch.tensor([0, 0, 1, 1])))
    0.0
    """
    distance = distances(features)
    gaps = distance[:, :, None] - distance[:, None] + margin
    return _violated(gaps[_triplets(index)])


def quadruplet(features: Tensor, index: Tensor, margin: float = 0.2, second: float = 0.1) -> Tensor:
    """Add to `triplet` that positives lie closer than two images of two other classes.

    W. Chen et al., "Beyond triplet loss: a deep quadruplet network for person re-identification",
    2017, equation 6.

    Examples
    --------
    >>> corners = torch.eye(3)[[0, 0, 1, 1, 2, 2]]
    >>> float(quadruplet(corners, torch.tensor([0, 0, 1, 1, 2, 2])))
    0.0
    """
    distance = distances(features)
    same = index[:, None] == index
    own = torch.eye(len(index), dtype=torch.bool, device=index.device)
    a, p = torch.nonzero(same & ~own, as_tuple=True)
    n, m = torch.nonzero(torch.triu(~same), as_tuple=True)
    # neither of the two strangers is of the pair's class
    apart = (index[a][:, None] != index[n]) & (index[a][:, None] != index[m])
    gaps = distance[a, p][:, None] - distance[n, m] + second
    return triplet(features, index, margin) + _violated(gaps[apart])


def make_loss(
    name: LossName, features: int, classes: int, margin: float | None = None
) -> tuple[Loss, nn.Module | None]:
    """Return a loss by name, and what it learns itself, if anything.

    Parameters
    ----------
    name : str
        One of the three above, or a rival of pytorch-metric-learning at its own defaults:
        ``lifted-structure`` (H. Song et al., 2016), ``n-pair`` (K. Sohn, 2016), ``proxy-nca``
        (Y. Movshovitz-Attias et al., 2017), ``multi-similarity`` (X. Wang et al., 2019).
    features, classes : int
        Dimensions, and training classes, for the proxies.
    margin : float, optional
        Of one of the three above; by default its own.

    Examples
    --------
    >>> loss, learned = make_loss("triplet", 8, 3)
    >>> learned is None
    True
    """
    own: dict[str, Callable[..., Tensor]] = {
        "contrastive": contrastive,
        "triplet": triplet,
        "quadruplet": quadruplet,
    }
    if name in own:
        return own[name] if margin is None else partial(own[name], margin=margin), None
    if margin is not None:
        raise InputError(f"the loss {name} takes no margin, only {', '.join(own)} do")
    if name not in get_args(LossName):
        raise ValueError(f"no loss {name!r}: there are {', '.join(get_args(LossName))}")
    from pytorch_metric_learning import losses

    if name == "proxy-nca":
        proxies = losses.ProxyNCALoss(classes, features)
        return proxies, proxies
    made = {
        "lifted-structure": losses.LiftedStructureLoss,
        "n-pair": losses.NPairsLoss,
        "multi-similarity": losses.MultiSimilarityLoss,
    }
    rival: Loss = made[name]()
    return rival, None


def distances(features: Tensor) -> Tensor:
    """Return the distances (N, N) of unit features (N, D), with finite gradients at 0."""
    squared = 2 - 2 * (features @ features.T)
    return squared.clamp_min(1e-8).sqrt()


def _triplets(index: Tensor) -> Tensor:
    """Return which (anchor, positive, negative) are triplets, (N, N, N)."""
    same = index[:, None] == index
    own = torch.eye(len(index), dtype=torch.bool, device=index.device)
    return (same & ~own)[:, :, None] & ~same[:, None]


def _violated(gaps: Tensor) -> Tensor:
    """Return the mean of the positive gaps, 0 where there is none."""
    return relu(gaps).sum() / (gaps > 0).sum().clamp_min(1)


def _mean(values: Tensor) -> Tensor:
    return values.sum() / max(1, len(values))
