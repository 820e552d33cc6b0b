"""Nearest neighbour: a query takes the class of the one example it is most alike to.

T. Cover, P. Hart, "Nearest neighbor pattern classification", 1967, with cosine for the distance.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from handful.similarity import cosine


class Nearest:
    """Score by the cosine with the closest example of a class.

    Examples
    --------
    >>> examples = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.6, 0.8]])
    >>> scores = Nearest().fit(examples, torch.tensor([0, 1, 1]), 2)
    >>> scores(torch.tensor([[1.0, 0.0]]))
    tensor([[1.0000, 0.6000]])
    """

    name = "nearest"

    def fit(self, features: Tensor, index: Tensor, ways: int) -> Callable[[Tensor], Tensor]:
        """Return a function from queries (..., Q, D) to cosines (..., Q, ways)."""

        def scores(query: Tensor) -> Tensor:
            pairs = cosine(query, features)
            best = pairs.new_full((*pairs.shape[:-1], ways), -torch.inf)
            return best.scatter_reduce_(-1, index.expand_as(pairs), pairs, "amax")

        return scores
