"""Cosine similarity between every query and every support feature."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize


def cosine(query: Tensor, support: Tensor) -> Tensor:
    """Return the cosine of the angle between every query and every support feature.

    Parameters
    ----------
    query : Tensor
        Features (..., Q, D); they need not have unit length.
    support : Tensor
        Features (..., S, D), with leading dimensions that broadcast against the query's.

    Returns
    -------
    Tensor
        Cosines (..., Q, S) in [-1, 1]; a feature of length zero has cosine 0 to everything.

    Examples
    --------
    >>> import torch
    >>> cosine(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]))
    tensor([[ 1.,  0., -1.]])
    """
    return normalize(query, dim=-1) @ normalize(support, dim=-1).mT
