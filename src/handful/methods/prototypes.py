"""Nearest prototype in an embedding, by cosine.

J. Snell, K. Swersky, R. Zemel, "Prototypical networks for few-shot learning", 2017, equation 1
(the prototype is the mean of the embedded shots), with cosine for the distance.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from handful.backbones import Embedder
from handful.methods.calibration import Calibration
from handful.methods.matcher import Image
from handful.similarity import cosine


class Prototypes:
    """Classify by the nearest class prototype; the embedding comes from any backbone.

    Parameters
    ----------
    embedder : Embedder
        A network that turns images into vectors.
    name : str
        The name under which results quote it.
    calibration : Calibration, optional
        How to read its cosines as probabilities.
    logistic : bool
        Whether a support of three or more examples a class is ranked by logistic regression, as
        serves photos.

    Attributes
    ----------
    embedder : Embedder
        As given: `compare` takes its vectors and can be differentiated, so a
        `NetworkEmbedder` can be explained.
    """

    batched = True

    def __init__(
        self,
        embedder: Embedder,
        name: str,
        calibration: Calibration | None = None,
        logistic: bool = False,
    ) -> None:
        self.embedder = embedder
        self.name = name
        self.backbone = embedder.name
        self.calibration = calibration
        self.logistic = logistic

    def encode(self, images: Sequence[Image]) -> Tensor:
        """Return unit vectors (N, D), float32."""
        return normalize(self.embedder.embed(images), dim=-1)

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """Return cosines (Q, S) in [-1, 1]."""
        return cosine(query, support)

    def pool(self, support: Tensor) -> Tensor:
        """Return the prototypes: the unit mean of the shots, (..., shots, D) -> (..., D)."""
        return normalize(torch.mean(support, dim=-2), dim=-1)
