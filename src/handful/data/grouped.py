"""Drawing episodes where some images must not be parted: bursts, slides, cameras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from handful.data.episodes import Indices
from handful.errors import InputError

_TRIES = 200


def grouped_episodes(
    rng: Generator,
    members: Sequence[Indices],
    group: Indices,
    ways: int,
    shots: int,
    queries: int,
    episodes: int,
) -> Indices:
    """Draw episodes in which no group is in the support and among the queries.

    The groups are put into a random order. Each class draws its support from the first half of its
    groups, or from as many more as hold enough images; its queries from all images that share no
    group with the support of any class. An order that leaves a class without a query is drawn anew.

    Parameters
    ----------
    rng : Generator
        Where the chance comes from.
    members : sequence of ndarray
        The images of each class.
    group : ndarray
        (N,) integers from 0, the group of each image.
    ways, shots, queries, episodes : int
        As in :func:`handful.data.sampling.sample_fewshot`.

    Returns
    -------
    ndarray
        (episodes, ways, shots + queries) images, -1 where a class has no more.

    Raises
    ------
    InputError
        Too few classes have images enough, or the classes' groups overlap too much.
    """
    able = [m for m in members if _can(group[m], shots)]
    if len(able) < ways:
        raise InputError(
            f"{len(able)} classes have {shots} images beside a group for queries;"
            " ask for at most as many ways"
        )
    drawn = np.full((episodes, ways, shots + queries), -1)
    groups = int(group.max()) + 1
    for episode in drawn:
        for _ in range(_TRIES):
            classes = [able[i] for i in rng.permutation(len(able))[:ways]]
            if _fill(rng, episode, classes, group, rng.permutation(groups), shots):
                break
        else:
            raise InputError(
                "the groups leave no queries beside a support: give images of more groups,"
                " or ask for fewer shots"
            )
    return drawn


def _can(group: Indices, shots: int) -> bool:
    """Say whether a class can spare one of its groups for queries."""
    sizes = np.bincount(group)
    sizes = sizes[sizes > 0]
    return len(sizes) > 1 and int(sizes.sum() - sizes.min()) >= shots


def _fill(
    rng: Generator,
    episode: Indices,
    classes: Sequence[Indices],
    group: Indices,
    rank: Indices,
    shots: int,
) -> bool:
    """Draw one episode, in place, with the groups in the order of `rank`; False if it fails."""
    used: list[int] = []
    for way, images in enumerate(classes):
        order, sizes = np.unique(rank[group[images]], return_counts=True)
        enough = int(np.searchsorted(sizes.cumsum(), shots)) + 1
        last = order[max(len(order) // 2, enough) - 1]
        support = rng.choice(images[rank[group[images]] <= last], shots, replace=False)
        episode[way, :shots] = support
        used += group[support].tolist()
    for way, images in enumerate(classes):
        left = rng.permutation(images[~np.isin(group[images], used)])
        if not left.size:
            return False
        left = left[: episode.shape[1] - shots]
        episode[way, shots:] = -1
        episode[way, shots : shots + len(left)] = left
    return True
