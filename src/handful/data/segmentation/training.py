"""What a method of few-shot segmentation is trained on: lists of photos, and epochs of episodes.

Training sees training classes alone. A photo that shows a test class, be it one pixel, is left out,
for otherwise the network would learn that such objects are background.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handful.data.segmentation.episodes import SegmentationEpisodes
from handful.data.segmentation.photos import SegmentationSet
from handful.errors import InputError


def training_pairs(
    dataset: SegmentationSet,
    classes: Sequence[str],
    per_class: int = 750,
    seed: int = 0,
    *,
    novel: Sequence[str] = (),
    keep_novel: bool = False,
) -> list[tuple[int, int]]:
    """Draw the photos that one training goes through.

    Parameters
    ----------
    dataset : SegmentationSet
        The photos.
    classes : sequence of str
        The training classes.
    per_class : int
        At most so many photos of each, drawn once.
    seed : int
        What they are drawn from.
    novel : sequence of str
        The test classes, none of which may be a training class.
    keep_novel : bool
        Keep photos that show a test class too, as background; they are left out otherwise.

    Returns
    -------
    list of (int, int)
        Photo and class, numbers into the data set, class by class. A photo of several training
        classes may stand once for each.

    Raises
    ------
    InputError
        A class is for training and test; leaving photos out leaves a class none.
    """
    columns, tested = dataset.find(classes), dataset.find(novel)
    both = [dataset.labels[column] for column in columns if column in tested]
    if both:
        raise InputError(f"{both[0]!r} is a training and a test class; let it be one of them")
    rng = np.random.default_rng(seed)
    shown = np.asarray(dataset.present[:, tested].any(1), bool)
    allowed = np.ones_like(shown) if keep_novel else ~shown
    pairs: list[tuple[int, int]] = []
    for column in columns:
        pool = np.flatnonzero(dataset.eligible[:, column] & allowed)
        if not len(pool):
            raise InputError(
                f"{dataset.root}: no photo is left that shows {dataset.labels[column]!r} and no"
                f" test class; keep photos with test classes, or leave this class out"
            )
        drawn = np.sort(rng.choice(pool, min(per_class, len(pool)), replace=False))
        pairs += [(photo, column) for photo in drawn.tolist()]
    return pairs


def training_episodes(
    dataset: SegmentationSet, pairs: Sequence[tuple[int, int]], shots: int = 1, seed: int = 0
) -> SegmentationEpisodes:
    """Make one epoch of a training list: every pair once as a query, in a drawn order.

    Parameters
    ----------
    dataset : SegmentationSet
        The photos.
    pairs : sequence of (int, int)
        What :func:`training_pairs` gave, which also hold the supports.
    shots : int
        Examples of the query's class, other photos of the list.
    seed : int
        Order and supports follow from it; a seed of each epoch's own draws others.

    Raises
    ------
    InputError
        A class has too few photos for a query and its examples.
    """
    rng = np.random.default_rng([seed, 2])
    table = np.array(pairs, np.int64).reshape(-1, 2)
    pools = {column: table[table[:, 1] == column, 0] for column in np.unique(table[:, 1]).tolist()}
    for column, pool in pools.items():
        if len(pool) <= shots:
            raise InputError(
                f"{dataset.root}: {len(pool)} photos to train on show {dataset.labels[column]!r};"
                f" {shots} shots and a query need more, leave the class out"
            )
    table = rng.permutation(table)
    support = [
        rng.choice(pools[column][pools[column] != photo], shots, replace=False)
        for photo, column in table.tolist()
    ]
    return SegmentationEpisodes(
        table[:, 1:], np.array(support)[:, None], table[:, 0], dataset.paths, dataset.labels, seed
    )


def class_first(
    pairs: Sequence[tuple[int, int]], count: int, seed: int = 0
) -> list[tuple[int, int]]:
    """Draw from a training list the class first and then one of its photos, as COCO-20i trains.

    Examples
    --------
    >>> drawn = class_first([(0, 5), (1, 5), (2, 5), (3, 9)], 1000)
    >>> 400 < sum(column == 9 for _, column in drawn) < 600
    True
    """
    rng = np.random.default_rng([seed, 3])
    table = np.array(pairs, np.int64).reshape(-1, 2)
    columns = np.unique(table[:, 1])
    pools = [table[table[:, 1] == column, 0] for column in columns]
    chosen = rng.integers(0, len(columns), count).tolist()
    return [(int(rng.choice(pools[place])), int(columns[place])) for place in chosen]
