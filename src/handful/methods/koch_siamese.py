"""Koch's Siamese network: twin towers, a learned weighted L1, one score for a pair.

G. Koch, R. Zemel, R. Salakhutdinov, "Siamese neural networks for one-shot image recognition",
2015. Score of a pair (section 3.1):

    p = sigmoid(sum_j alpha_j |h_1j - h_2j| + beta)

where h are the 4,096 features of the twins. A query takes the class of the support image with
the highest score.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handful.backbones import KochTower, NetworkEmbedder
from handful.backbones.koch import Init
from handful.images.ink import ink, ink_box
from handful.methods.calibration import Calibration
from handful.methods.matcher import Image
from handful.similarity import weighted_l1


class KochSiamese(nn.Module):
    """The network: a tower shared by both images and the weights alpha of the L1.

    Parameters
    ----------
    init : {"paper", "slides", "unit-variance"}
        See :class:`handful.backbones.koch.KochTower`.
    bias : bool
        Whether the last layer has the bias beta, as a fully connected layer has; without it the
        equation is the bare sum, and identical images always score one half.

    Examples
    --------
    >>> network = KochSiamese()
    >>> sum(p.numel() for p in network.parameters())
    38951745
    >>> pair = torch.zeros(2, 1, 105, 105)
    >>> network(pair, pair).shape
    torch.Size([2])
    """

    def __init__(self, init: Init = "paper", bias: bool = True) -> None:
        super().__init__()
        self.tower = KochTower(init)
        self.alpha = nn.Parameter(torch.empty(self.tower.features))
        self.beta = nn.Parameter(torch.empty(1).normal_(0.5, 0.01)) if bias else None
        if init == "unit-variance":
            # every difference speaks against "same", and the sum stays near 1
            nn.init.constant_(self.alpha, -8 / self.tower.features)
        else:
            nn.init.normal_(self.alpha, 0.0, 0.2 if init == "paper" else 0.01)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the logits (N,) of pairs of ink (N, 1, 105, 105); larger is more alike."""
        a, b = self.tower(torch.cat([first, second])).float().chunk(2)
        # a product and a sum, not a matrix product: mixed precision would round alpha
        return self._shift(((a - b).abs() * self.alpha).sum(1))

    def all_pairs(self, query: Tensor, support: Tensor) -> Tensor:
        """Return the logits (Q, S) of features (Q, 4096) against features (S, 4096)."""
        return self._shift(weighted_l1(query, support, self.alpha))

    def _shift(self, logits: Tensor) -> Tensor:
        return logits if self.beta is None else logits + self.beta


class KochMatcher:
    """One-shot recognition and verification with a trained :class:`KochSiamese`.

    Parameters
    ----------
    network : KochSiamese
        With its weights loaded.
    name : str
        The recipe it was trained by, such as ``koch-paper``.
    calibration : Calibration, optional
        Fitted on validation classes; without it its scores only keep their order.
    device : str
        Where the tower runs.
    margin : float, optional
        Border around the strokes' box, see :func:`handful.images.ink`, for a network that
        learned so.
    """

    backbone = "koch"
    batched = True

    def __init__(
        self,
        network: KochSiamese,
        name: str = "koch",
        calibration: Calibration | None = None,
        device: str = "cpu",
        margin: float | None = None,
    ) -> None:
        self.network = network.eval()
        self.name = name
        self.calibration = calibration

        def prepare(image: Image) -> NDArray[np.float32]:
            return ink(image, KochTower.size, margin)[None]

        place = partial(ink_box, margin=margin)
        self.embedder = NetworkEmbedder(
            network.tower, prepare, "koch", device, batch=64, place=place
        )

    def encode(self, images: Sequence[Image]) -> Tensor:
        """Return features (N, 4096) in (0, 1)."""
        return self.embedder.embed(images)

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """Return logits (Q, S)."""
        alpha = self.network.alpha.detach().to(query.device)
        beta = 0.0 if self.network.beta is None else float(self.network.beta.detach())
        return weighted_l1(query, support, alpha) + beta

    def pool(self, support: Tensor) -> None:
        """Keep shots apart: the class of the best pairing wins."""
