"""Naming the training characters: a cosine classifier whose weights are dropped afterwards."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize


class Naming(nn.Module):
    """Softmax over the cosines to one learned proxy a class.

    F. Wang et al., "NormFace: L2 hypersphere embedding for face verification", 2017, equation 5.

    Parameters
    ----------
    features : int
        Dimensions of the embedding.
    classes : int
        Training classes.
    scale : float
        Factor on the cosines.
    """

    def __init__(self, features: int, classes: int, scale: float = 16.0) -> None:
        super().__init__()
        self.proxies = nn.Parameter(torch.randn(classes, features) * 0.05)
        self.scale = scale

    def forward(self, features: Tensor, name: Tensor) -> Tensor:
        """Return the mean cross-entropy of features (N, D) with classes `name` (N,)."""
        cosines = normalize(features, dim=1) @ normalize(self.proxies, dim=1).T
        return cross_entropy(self.scale * cosines.float(), name.to(cosines.device))
