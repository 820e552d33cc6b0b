"""What every recognition method offers: encode images, compare a query with the support.

A verb, a protocol and a benchmark see a method only through this door, so a new method is one
short file that defines ``encode`` and ``compare``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Image = NDArray[np.uint8]
"""One decoded picture: (H, W, 3) RGB or (H, W) grey, uint8."""


@runtime_checkable
class Matcher(Protocol):
    """A fixed, general model that says how alike two images are.

    Attributes
    ----------
    name : str
        The name under which results quote it, such as ``omniglot-small``.
    backbone : str
        The network it stands on; ``"none"`` for pixel methods.

    Notes
    -----
    A method may also carry ``calibration`` (:mod:`handful.methods.calibration`), and
    ``batched = True``, which says that `compare` takes leading dimensions: (..., Q, D) against
    (..., S, D).
    """

    name: str
    backbone: str

    def encode(self, images: Sequence[Image]) -> Tensor:
        """Turn images into features (N, ...), float32 on the CPU; the batch is cut inside."""
        ...

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """Score features (Q, ...) against features (S, ...): (Q, S), larger is more alike."""
        ...

    def pool(self, support: Tensor) -> Tensor | None:
        """Merge the shots of a class, (..., shots, D) -> (..., D), or return None.

        None means that shots stay apart and a class scores as its best shot.
        """
        ...


def class_scores(matcher: Matcher, query: Tensor, support: Tensor) -> Tensor:
    """Score queries against classes of one or more shots.

    Parameters
    ----------
    matcher : Matcher
        The method.
    query : Tensor
        Features (Q, ...).
    support : Tensor
        Features (ways, shots, ...): the same number of shots in every class.

    Returns
    -------
    Tensor
        Scores (Q, ways); larger is more alike.
    """
    ways, shots = support.shape[:2]
    if shots == 1:
        return matcher.compare(query, support[:, 0])
    pooled = matcher.pool(support)
    if pooled is not None:
        return matcher.compare(query, pooled)
    scores = matcher.compare(query, support.flatten(0, 1))
    return torch.amax(scores.reshape(len(query), ways, shots), dim=2)
