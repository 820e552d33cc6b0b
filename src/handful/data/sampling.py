"""Drawing episodes and pairs: seeded, and vectorised over the episodes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from handful.data.episodes import Episodes, Indices
from handful.data.grouped import grouped_episodes
from handful.data.omniglot import OmniglotSet
from handful.data.omniglot_runs import Runs
from handful.errors import InputError

Pool = Literal["alphabet", "split"]
"""Where the classes of one trial come from: one alphabet, or all alphabets together."""


def sample_within_alphabet(
    dataset: OmniglotSet,
    trials: int,
    ways: int = 20,
    shots: int = 1,
    seed: int = 0,
    unknown: bool = False,
) -> Episodes:
    """Draw one-query trials whose classes are characters of one alphabet.

    The alphabets are taken in turn, so each has the same number of trials (give or take one).
    The support of a trial is drawn by the same drawers, one per shot; the query by another.

    Parameters
    ----------
    dataset : OmniglotSet
        The split. Alphabets of fewer than `ways` characters are left out, with a warning.
    trials : int
        How many trials.
    ways, shots : int
        Characters in a support, and drawings of each.
    seed : int
        Everything drawn follows from it.
    unknown : bool
        Add a second query to each trial, by the drawer of the first, of a character of the same
        alphabet outside the support. Where the alphabet has no further character the second
        query is -1.

    Returns
    -------
    Episodes
        With queries (trials, 1), or (trials, 2) where `unknown`.

    Raises
    ------
    InputError
        No alphabet has enough characters, or one has too few drawers.
    """
    large = [c for c in dataset.characters if len(c) >= ways]
    if not large:
        raise InputError(f"{dataset.root}: no alphabet has {ways} characters; ask for fewer ways")
    if len(large) < len(dataset.characters):
        few = ", ".join(
            name
            for name, c in zip(dataset.alphabets, dataset.characters, strict=True)
            if len(c) < ways
        )
        warnings.warn(f"fewer than {ways} characters, left out: {few}", stacklevel=2)
    return _sample(dataset, large, "within-alphabet", trials, ways, shots, seed, unknown)


def sample_random_character(
    dataset: OmniglotSet,
    trials: int,
    ways: int = 20,
    shots: int = 1,
    seed: int = 0,
    unknown: bool = False,
) -> Episodes:
    """Draw one-query trials whose classes are characters of any alphabets of the split.

    The arguments, the result and the rule of the drawers are those of
    :func:`sample_within_alphabet`; a drawer's number is what a support shares, since each
    alphabet has drawers of its own.
    """
    everything = np.concatenate(dataset.characters)
    if len(everything) < ways:
        raise InputError(
            f"{dataset.root}: has {len(everything)} characters; ask for at most as many ways"
        )
    return _sample(dataset, [everything], "random-character", trials, ways, shots, seed, unknown)


def _sample(
    dataset: OmniglotSet,
    groups: Sequence[Indices],
    protocol: str,
    trials: int,
    ways: int,
    shots: int,
    seed: int,
    unknown: bool,
) -> Episodes:
    rng = np.random.default_rng(seed)
    drawers = [np.flatnonzero((dataset.table[group] >= 0).all(0)) for group in groups]
    if min(map(len, drawers)) <= shots:
        raise InputError(
            f"{dataset.root}: too few drawers drew every character for {shots} shots and a query"
        )
    group = np.arange(trials) % len(groups)
    size = np.array([len(g) for g in groups])[group]
    place = distinct(rng, size, ways)
    character = _padded(groups)[group[:, None], place]
    drawer = _padded(drawers)[
        group[:, None], distinct(rng, np.array([len(d) for d in drawers])[group], shots + 1)
    ]
    target = rng.integers(0, ways, trials)[:, None]
    asked = np.take_along_axis(character, target, 1)
    query = dataset.table[asked, drawer[:, shots:]]
    if unknown:
        other = _another(rng, place, size)
        stranger = dataset.table[_padded(groups)[group, other], drawer[:, shots]]
        query = np.column_stack([query, np.where(other < 0, -1, stranger)])
        target = np.column_stack([target, np.full(trials, -1)])
    support = dataset.table[character[:, :, None], drawer[:, None, :shots]]
    return Episodes(support, query, target, dataset.paths, protocol, seed)


def sample_fewshot(
    labels: ArrayLike,
    ways: int,
    shots: int,
    queries: int,
    episodes: int,
    seed: int = 0,
    paths: Sequence[str] = (),
    groups: ArrayLike | None = None,
) -> Episodes:
    """Draw N-way K-shot episodes from any labelled set.

    Parameters
    ----------
    labels : array_like
        The class of each image, (N,): integers or strings.
    ways, shots : int
        Classes in a support, and examples of each.
    queries : int
        Queries of each class at most; a class with fewer images left over gives all of them,
        and the rest of its places hold -1.
    episodes : int
        How many episodes.
    seed : int
        Everything drawn follows from it.
    paths : sequence of str
        The file of each image, relative to a root; needed to save the episodes.
    groups : array_like, optional
        What each image must not be parted from, (N,) integers: no group is in the support and
        among the queries of one episode, whatever the classes. A class's support is drawn from
        half of its groups, or from as many more as it takes.

    Returns
    -------
    Episodes
        With queries (episodes, ways * queries), class by class. Classes of at most `shots` images
        (beside some other group of theirs) take no part.

    Raises
    ------
    InputError
        Fewer than `ways` classes have more than `shots` images, or no episode leaves every class
        a query that is of no group of the support.

    Examples
    --------
    >>> drawn = sample_fewshot(["cat", "dog", "cat", "dog", "cat"], 2, 1, 2, episodes=4)
    >>> drawn.support.shape, drawn.query.shape, int((drawn.query < 0).sum())
    ((4, 2, 1), (4, 4), 4)
    """
    rng = np.random.default_rng(seed)
    number = np.unique(np.asarray(labels), return_inverse=True)[1]
    if groups is not None:
        group = np.unique(np.asarray(groups), return_inverse=True)[1]
        image = grouped_episodes(rng, _members(number), group, ways, shots, queries, episodes)
        return _as_fewshot(image, shots, paths, seed)
    members = [m for m in _members(number) if len(m) > shots]
    if len(members) < ways:
        raise InputError(
            f"{len(members)} classes have more than {shots} images; ask for at most as many ways"
        )
    chosen = distinct(rng, np.full(episodes, len(members)), ways).ravel()
    sizes = np.array([len(m) for m in members])[chosen]
    place = np.full((len(chosen), shots + queries), -1)
    for count in np.unique(np.minimum(sizes, shots + queries)):
        rows = np.flatnonzero(np.minimum(sizes, shots + queries) == count)
        place[rows, :count] = distinct(rng, sizes[rows], int(count))
    image = np.where(place < 0, -1, _padded(members)[chosen[:, None], place])
    return _as_fewshot(image.reshape(episodes, ways, shots + queries), shots, paths, seed)


def _as_fewshot(image: Indices, shots: int, paths: Sequence[str], seed: int) -> Episodes:
    """Return the episodes of images (episodes, ways, shots + queries), -1 where there is none."""
    episodes, ways, each = image.shape
    query = image[:, :, shots:].reshape(episodes, -1)
    target = np.where(query < 0, -1, np.repeat(np.arange(ways), each - shots))
    return Episodes(image[:, :, :shots], query, target, tuple(paths), "fewshot", seed)


def sample_pairs(
    dataset: OmniglotSet, pairs: int, pool: Pool = "split", seed: int = 0
) -> tuple[Indices, NDArray[np.bool_]]:
    """Draw pairs of images by two drawers, half of one character and half of two.

    Parameters
    ----------
    dataset : OmniglotSet
        The split.
    pairs : int
        How many pairs; the first half shows one character.
    pool : {"split", "alphabet"}
        Whether the two characters of a pair come from anywhere or from one alphabet.
    seed : int
        Everything drawn follows from it.

    Returns
    -------
    images : ndarray
        (pairs, 2) int64, indices into the data set.
    same : ndarray
        (pairs,) bool.
    """
    rng = np.random.default_rng(seed)
    groups = dataset.characters if pool == "alphabet" else [np.concatenate(dataset.characters)]
    groups = [group for group in groups if len(group) > 1]
    drawers = np.flatnonzero((dataset.table >= 0).all(0))
    if not groups or len(drawers) < 2:
        raise InputError(f"{dataset.root}: too few characters or drawers for pairs of images")
    same = np.arange(pairs) < pairs // 2
    # alphabets weigh as many characters as they have, so both halves see each equally often
    size = np.array([len(group) for group in groups])
    group = rng.choice(len(groups), pairs, p=size / size.sum())
    place = distinct(rng, size[group], 2)
    place[same, 1] = place[same, 0]
    character = _padded(groups)[group[:, None], place]
    drawer = drawers[distinct(rng, np.full(pairs, len(drawers)), 2)]
    return dataset.table[character, drawer], same


def runs_to_episodes(runs: Runs) -> Episodes:
    """Return the one-shot runs as episodes, one per run, with all its test images as queries."""
    return Episodes(runs.support[:, :, None], runs.query, runs.target, runs.paths, "lake")


def distinct(rng: Generator, size: Indices, count: int) -> Indices:
    """Draw `count` different numbers below ``size[t]`` for every row t, in random order.

    Floyd's algorithm, one step for all rows at once: memory does not grow with `size`.

    Examples
    --------
    >>> drawn = distinct(np.random.default_rng(0), np.array([3, 1000]), 3)
    >>> sorted(drawn[0].tolist()), len(set(drawn[1].tolist()))
    ([0, 1, 2], 3)
    """
    drawn = np.empty((len(size), count), np.int64)
    for i in range(count):
        top = size - count + i
        pick = rng.integers(0, top + 1)
        taken = (drawn[:, :i] == pick[:, None]).any(1)
        drawn[:, i] = np.where(taken, top, pick)
    # the set is uniform, the order is not yet
    return rng.permuted(drawn, axis=1)


def _another(rng: Generator, taken: Indices, size: Indices) -> Indices:
    """Draw one number below ``size[t]`` that is not in ``taken[t]``; -1 where none is left."""
    left = size - taken.shape[1]
    drawn = rng.integers(0, np.maximum(left, 1))
    for lower in np.sort(taken, axis=1).T:
        drawn += lower <= drawn
    return np.where(left > 0, drawn, -1)


def _members(number: Indices) -> list[Indices]:
    order = np.argsort(number, kind="stable")
    return np.split(order, np.cumsum(np.bincount(number))[:-1])


def _padded(rows: Sequence[Indices]) -> Indices:
    """Stack rows of different lengths, filled up with -1."""
    table = np.full((len(rows), max(map(len, rows))), -1)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table
