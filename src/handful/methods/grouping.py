"""Strangers put into groups: which of the rejected images show one and the same unknown class.

Agglomerative clustering with average linkage (R. Sokal, C. Michener, "A statistical method for
evaluating systematic relationships", 1958): the two groups whose pairs score highest on average
are merged, as long as that average reaches the model's verification threshold. (Averaging the
raw scores instead groups caltech's validation and training classes equally well.)
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from handful.errors import InputError
from handful.methods.matcher import Matcher
from handful.methods.scores import as_score, calibrated

MOST = 10_000
"""Images grouped at most: every pair of them is compared."""


def group_alike(matcher: Matcher, features: Tensor) -> list[int]:
    """Group images that show the same, without any label.

    Parameters
    ----------
    matcher : Matcher
        A calibrated method: its `verify` threshold says what "the same" means.
    features : Tensor
        (N, ...), as it encodes images.

    Returns
    -------
    list of int
        The group of each image, 0, 1, ... in the order in which they first appear.

    Raises
    ------
    InputError
        The method was never calibrated, or there are more than `MOST` images.
    """
    limit = calibrated(matcher, "groups of new images").verify
    if len(features) > MOST:
        raise InputError(
            f"{len(features):,} images are too many to group: {MOST:,} at most; give fewer queries"
        )
    if len(features) < 2:
        return [0] * len(features)
    from scipy.cluster.hierarchy import fcluster, linkage

    score = as_score(matcher, matcher.compare(features, features)).double()
    distance = 1 - (score + score.T) / 2
    upper = torch.triu_indices(len(score), len(score), offset=1)
    tree = linkage(distance[upper[0], upper[1]].numpy(), "average")
    found = fcluster(tree, 1 - limit, "distance")
    _, first, group = np.unique(found, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return [int(order[number]) for number in group]
