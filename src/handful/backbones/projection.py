"""A learned linear projection of a backbone's pooled maps: individuals instead of kinds.

A network that names everyday things throws away what tells two lions apart; its earlier maps still
hold it. Here the mean and the spread of several maps are brought to one vector, in which what
differs between photos of one class has been scaled down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from handful.backbones.features import FeatureMaps
from handful.errors import InputError


class PooledMaps(nn.Module):
    """Mean and spread over the positions of several maps, side by side.

    Parameters
    ----------
    backbone : FeatureMaps
        With its weights loaded.
    maps : sequence of str
        Names of its maps.

    Attributes
    ----------
    features : int
        Dimensions of the vector: twice the channels of the maps.

    Examples
    --------
    >>> from handful.backbones import build
    >>> pooled = PooledMaps(build("handful-base"), ["stride8", "stride16"])
    >>> pooled(torch.zeros(1, 3, 64, 64)).shape, pooled.features
    (torch.Size([1, 256]), 256)
    """

    def __init__(self, backbone: FeatureMaps, maps: Sequence[str]) -> None:
        super().__init__()
        if unknown := sorted(set(maps) - set(backbone.channels)):
            have = ", ".join(backbone.channels)
            raise InputError(f"{backbone.name}: has no map {unknown[0]!r}, only {have}")
        if not maps:
            raise InputError(f"{backbone.name}: name at least one of its maps")
        self.backbone = backbone
        self.maps = tuple(maps)
        self.features = 2 * sum(backbone.channels[name] for name in maps)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to vectors (N, features)."""
        found = self.backbone(x)
        parts = []
        for name in self.maps:
            spread, mean = torch.var_mean(found[name].float(), dim=(2, 3), correction=0)
            parts += [mean, spread.sqrt()]
        return torch.cat(parts, dim=1)


class Whitening(nn.Module):
    """An affine map to unit vectors: ``normalize((x - mean) @ matrix)``.

    Parameters
    ----------
    inputs, outputs : int
        Dimensions.

    Examples
    --------
    >>> whitening = Whitening(3, 2)
    >>> whitening.matrix.copy_(torch.eye(3)[:, :2])
    tensor([[1., 0.],
            [0., 1.],
            [0., 0.]])
    >>> whitening(torch.tensor([[3.0, 4.0, 9.0]]))
    tensor([[0.6000, 0.8000]])
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("matrix", torch.zeros(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors (N, inputs) to unit vectors (N, outputs)."""
        return normalize((x - self.mean) @ self.matrix, dim=1)


def fit_whitening(
    features: Tensor,
    index: Tensor,
    blocks: Sequence[int],
    shrink: float,
    outputs: int,
) -> Whitening:
    """Fit the projection in which photos of one class lie close together.

    Blocks of features are brought to one scale, reduced to their principal components, and these
    are whitened by the covariance within classes.

    Parameters
    ----------
    features : Tensor
        (N, D).
    index : Tensor
        (N,) integers: the class of each.
    blocks : sequence of int
        Dimensions of each block; they sum to D.
    shrink : float
        In (0, 1]: the part of the covariance that is replaced by a multiple of the identity.
    outputs : int
        Components kept; fewer where there are fewer photos.

    Returns
    -------
    Whitening
        From D dimensions.

    References
    ----------
    P. Belhumeur et al., "Eigenfaces vs. Fisherfaces", 1997, section 2.3 (components first, so
    that the covariance can be inverted); A. Hatch et al., "Within-class covariance normalization
    for SVM-based speaker recognition", 2006, equation 5.
    """
    x = features.double()
    mean = x.mean(0)
    x = x - mean
    spread = x.pow(2).mean(0).sqrt()
    parts = torch.split(spread, list(blocks))
    scale = torch.cat([_level(part).expand(len(part)) for part in parts])
    basis = torch.linalg.svd(x * scale, full_matrices=False)[2][: min(outputs, len(x) - 1)].T
    x = (x * scale) @ basis
    ways = int(index.max()) + 1
    sums = torch.zeros(ways, x.shape[1], dtype=x.dtype).index_add_(0, index, x)
    within = x - (sums / torch.bincount(index, minlength=ways)[:, None].clamp_min(1))[index]
    covariance = within.T @ within / len(x)
    level = covariance.diagonal().mean().clamp_min(1e-12)
    covariance = (1 - shrink) * covariance + shrink * level * torch.eye(
        len(covariance), dtype=x.dtype
    )
    values, vectors = torch.linalg.eigh(covariance)
    matrix = scale[:, None] * (basis @ vectors) * values.rsqrt()
    # its scale is free; this one fits half precision
    matrix = matrix / matrix.abs().max()
    fitted = Whitening(len(mean), matrix.shape[1])
    fitted.mean.copy_(mean)
    fitted.matrix.copy_(matrix)
    return fitted


def _level(spread: Tensor) -> Tensor:
    """Return the factor that brings a block of features to a variance of about 1 in all."""
    return (spread.mean().clamp_min(1e-12) * math.sqrt(len(spread))).reciprocal()
