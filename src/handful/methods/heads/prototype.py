"""Nearest prototype: a query takes the class whose mean example it is most alike to.

J. Snell, K. Swersky, R. Zemel, "Prototypical networks for few-shot learning", 2017, equation 1,
with cosine for the distance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from handful.similarity import cosine


class Prototype:
    """Score by the cosine with the mean of a class's unit-length examples.

    Examples
    --------
    >>> examples = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 1.0]])
    >>> scores = Prototype().fit(examples, torch.tensor([0, 1, 1]), 2)
    >>> scores(torch.tensor([[3.0, 0.0]]))
    tensor([[1., 0.]])
    """

    name = "prototype"

    def fit(self, features: Tensor, index: Tensor, ways: int) -> Callable[[Tensor], Tensor]:
        """Return a function from queries (..., Q, D) to cosines (..., Q, ways)."""
        return partial(cosine, support=class_means(normalize(features, dim=-1), index, ways))


def class_means(features: Tensor, index: Tensor, ways: int) -> Tensor:
    """Return the mean features of each class: (..., S, D) to (..., ways, D).

    Raises
    ------
    ValueError
        An index that does not fit, or a class without examples.
    """
    counts = torch.bincount(index, minlength=ways)
    if index.shape != features.shape[-2:-1] or len(counts) != ways or (counts == 0).any():
        raise ValueError(
            f"features {tuple(features.shape)} of classes {index.tolist()}: one of 0..{ways - 1} "
            "for each example, none of them empty"
        )
    share = one_hot(index, ways).to(features) / counts.to(features)
    return share.mT @ features
