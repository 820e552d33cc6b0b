"""How much a pixel resembles the pixel of an example that is most like it, in tiles."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from handful.similarity.dense_cosine import check_pixels, tiles


def nearest_cosine(query: Tensor, support: Tensor, tile: int | None = None) -> Tensor:
    r"""Return the largest cosine of every query feature to any of the support's.

    :math:`\max_s \cos(x_q, x_s)`: what the nearest neighbour of pixels decides by (A. Shaban et
    al., "One-shot learning for semantic segmentation", 2017, section 6). The Q x S cosines are
    never held whole.

    Parameters
    ----------
    query : Tensor
        Features (Q, D), such as all pixels of a map; they need not have unit length.
    support : Tensor
        Features (S, D), in any floating type. None (S = 0) resemble nothing: 0 everywhere.
    tile : int, optional
        Elements of the largest intermediate, see `handful.similarity.dense_cosine`.

    Returns
    -------
    Tensor
        Cosines (Q,) in [-1, 1], of the query's type, without gradients. A feature of length zero
        has cosine 0 to everything.

    Raises
    ------
    ValueError
        The shapes do not fit.

    Examples
    --------
    >>> query = torch.tensor([[2.0, 0.0], [0.0, -1.0]])
    >>> nearest_cosine(query, torch.tensor([[0.0, 1.0], [3.0, 0.0]]))
    tensor([1., 0.])
    """
    check_pixels(query, support)
    if not len(support):
        return query.new_zeros(len(query))
    # mixed precision would round the cosines
    with torch.no_grad(), torch.autocast(query.device.type, enabled=False):
        query = normalize(query, dim=1)
        support = normalize(support.to(query.dtype), dim=1)
        found = query.new_full((len(query),), -torch.inf)
        for q, s in tiles(query, support, tile):
            torch.maximum(found[q], (query[q] @ support[s].mT).amax(1), out=found[q])
    return found
