"""Pseudo-categories of unlabelled features: Max-Min sampling, and their expansion.

Y.-X. Wang, L. Gui, M. Hebert, "Few-shot hash learning for image retrieval", ICCV workshops 2017,
sections 3.1.1 and 3.1.2 (expansion). Max-Min sampling is that of D. Dai, L. Van Gool, "Ensemble
projection for semi-supervised image classification", ICCV 2013.
"""

from __future__ import annotations

import numpy as np

from handful.methods.hashing.base import Floats, Indices
from handful.methods.hashing.dbc import Loss, separate, span
from handful.methods.hashing.kernel import squared_distances


def max_min(
    rows: Floats, rng: np.random.Generator, categories: int = 30, size: int = 6, tries: int = 50
) -> Indices:
    """Draw pseudo-categories: seeds far from one another, and each seed's nearest neighbours.

    Parameters
    ----------
    rows : ndarray
        Features (M, D), at least `categories` times `size`.
    rng : Generator
        Draws the sets of seeds.
    categories, size : int
        C and T: how many pseudo-categories, of how many rows each with the seed.
    tries : int
        m: random sets of seeds, of which the one with the largest sum of distances is kept.

    Returns
    -------
    ndarray
        Numbers of rows (categories, size), all different, the seed first: a row that is near two
        seeds goes to the one that was drawn first.
    """
    best, widest = np.empty(0, np.int64), -1.0
    for _ in range(tries):
        seeds = rng.choice(len(rows), categories, replace=False)
        spread = float(np.sqrt(squared_distances(rows[seeds], rows[seeds])).sum())
        if spread > widest:
            best, widest = seeds, spread
    distances = squared_distances(rows[best], rows)
    distances[:, best] = np.inf
    near = take_lowest(distances, size - 1)
    return np.column_stack([best, near])


def take_lowest(cost: Floats, count: int) -> Indices:
    """Give each row of costs (C, M) its `count` cheapest columns, none of them twice.

    Rows choose in order. The costs of what was chosen become infinite.

    Examples
    --------
    >>> take_lowest(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), 1).tolist()
    [[0], [1]]
    """
    chosen = np.empty((len(cost), count), np.int64)
    for row, line in enumerate(cost):
        # what earlier rows took is among the cheapest at most row * count times
        few = min(len(line), (row + 1) * count)
        cheap = np.argpartition(line, few - 1)[:few] if few < len(line) else np.arange(few)
        order = cheap[np.lexsort((cheap, line[cheap]))]
        chosen[row] = order[:count]
        cost[:, chosen[row]] = np.inf
    return chosen


def expand(
    rows: Floats,
    members: Indices,
    weights: Floats,
    count: int = 50,
    loss: Loss = "squared",
    c: float = 0.5,
) -> Indices:
    """Add rows to pseudo-categories that are alike both in features and in Hamming space.

    One-vs-rest SVMs are fitted to the pseudo-categories in either space. Their margins on all
    other rows are standardised, and summed over the two.

    Parameters
    ----------
    rows : ndarray
        Features (M, D).
    members : ndarray
        Numbers of rows (C, T).
    weights : ndarray
        Hyperplanes (D, K), which make the codes.
    count : int
        F: rows to add to each.
    loss, c
        Of the SVMs.

    Returns
    -------
    ndarray
        Numbers of rows (C, count), none of them a member or twice; the best first. A row that
        two pseudo-categories would have goes to the first.
    """
    number = np.repeat(np.arange(len(members)), members.shape[1])
    inside = rows[members.ravel()]
    values, basis = span(inside)
    planes = basis @ _one_vs_rest(values, number, loss, c)
    both = rows @ np.hstack([planes, weights])
    codes = np.where(both[:, len(members) :] > 0, 1.0, -1.0)
    hamming = codes @ _one_vs_rest(codes[members.ravel()], number, loss, c)
    total = _standardised(both[:, : len(members)]) + _standardised(hamming)
    cost = np.ascontiguousarray(-total.T)
    cost[:, members.ravel()] = np.inf
    return take_lowest(cost, count)


def _one_vs_rest(values: Floats, number: Indices, loss: Loss, c: float) -> Floats:
    """Return the hyperplanes (D, C) of linear SVMs, a class against the others."""
    table = np.where(number[:, None] == np.arange(number.max() + 1), 1.0, -1.0)
    return separate(values, table, c, loss)


def _standardised(margins: Floats) -> Floats:
    return np.asarray((margins - margins.mean(0)) / np.maximum(margins.std(0), 1e-12))
