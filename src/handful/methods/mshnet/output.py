"""What MSHNet answers, and how far that is from the truth."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from handful.methods.mshnet.blocks import resized

IGNORED = 255


class Output(NamedTuple):
    """Logits of background and foreground, (P, 2, H, W), and the merging blocks' own."""

    logits: Tensor
    inner: tuple[Tensor, ...] = ()

    @property
    def masks(self) -> Tensor:
        """Return the probability of foreground, (P, H, W)."""
        return self.logits.softmax(1)[:, 1]


def loss(output: Output, target: Tensor) -> Tensor:
    """Return the cross-entropy of the masks plus the mean of the merging blocks' own (eq. 1).

    Parameters
    ----------
    output : Output
        Of the model in training mode; without inner logits the first term is left out.
    target : Tensor
        (P, H, W), int64: 0 background, 1 foreground, 255 not counted.

    Returns
    -------
    Tensor
        A scalar.
    """
    size = (target.shape[1], target.shape[2])

    def entropy(logits: Tensor) -> Tensor:
        return cross_entropy(resized(logits, size), target, ignore_index=IGNORED)

    total = entropy(output.logits)
    if output.inner:
        total = total + torch.stack([entropy(logits) for logits in output.inner]).mean()
    return total
