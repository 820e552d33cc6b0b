"""Photos of two objects, and examples of either: what the conditioning effect is measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handful.data.progress import in_threads
from handful.data.segmentation.photos import SegmentationSet

SHARE = 0.05
"""The share of its photo that an object has to exceed to be one of the two."""

Pair = tuple[int, int]
Kind = Literal["photo", "mask"]


@dataclass(frozen=True)
class Case:
    """A photo that is segmented twice, by examples of one of its objects and of the other.

    Attributes
    ----------
    query : int
        The photo.
    pair : (int, int)
        The classes of its two objects.
    support : (tuple of int, tuple of int)
        The photos that teach the first class, and those that teach the second; for the swap of
        the mask they are the same.
    """

    query: int
    pair: Pair
    support: tuple[tuple[int, ...], tuple[int, ...]]


def object_areas(dataset: SegmentationSet, columns: Sequence[int]) -> NDArray[np.float64]:
    """Return the share of its photo that each class covers.

    Parameters
    ----------
    dataset : SegmentationSet
        The photos.
    columns : sequence of int
        The classes to look at.

    Returns
    -------
    ndarray
        (photos, classes of the set) in [0, 1]; 0 too for other classes, and for photos that show
        fewer than two of these.
    """
    areas = np.zeros(dataset.present.shape)
    wanted = np.zeros_like(dataset.present)
    wanted[:, list(columns)] = dataset.present[:, list(columns)]
    wanted &= wanted.sum(1, keepdims=True) > 1
    places = list(zip(*map(np.ndarray.tolist, np.nonzero(wanted)), strict=True))

    def area(place: tuple[int, int]) -> float:
        return float((dataset.mask(*place) == 1).mean())

    for place, share in zip(places, in_threads(area, places, "measuring objects"), strict=True):
        areas[place] = share
    return areas


def photos_of_pairs(
    dataset: SegmentationSet,
    classes: Sequence[int],
    partners: Sequence[int] = (),
    share: float = SHARE,
) -> dict[Pair, list[int]]:
    """Find the photos on which two classes cover more than a share of the area each.

    Parameters
    ----------
    dataset : SegmentationSet
        The photos.
    classes : sequence of int
        One class of a pair at least is one of these.
    partners : sequence of int
        What the other may be besides.
    share : float
        See `SHARE`.

    Returns
    -------
    dict
        Of each pair, in the order of the classes, its photos.
    """
    columns = sorted({*classes, *partners})
    large = object_areas(dataset, columns) > share
    found: dict[Pair, list[int]] = {}
    for pair in combinations(columns, 2):
        photos = np.flatnonzero(large[:, pair].all(1)).tolist()
        if photos and not set(classes).isdisjoint(pair):
            found[pair] = photos
    return found


def draw_cases(
    dataset: SegmentationSet,
    photos: Mapping[Pair, Sequence[int]],
    swap: Kind,
    shots: int = 1,
    draws: int = 1,
    seed: int = 0,
) -> tuple[list[Case], dict[Pair, int]]:
    """Draw the examples by which every photo of two objects is segmented.

    Parameters
    ----------
    dataset : SegmentationSet
        The photos.
    photos : mapping
        What :func:`photos_of_pairs` found.
    swap : {"photo", "mask"}
        Examples of either class are photos that show it and not a pixel of the other; or both are
        taught by the same photos of both objects, and only the masks differ.
    shots : int
        Examples of a class.
    draws : int
        How often examples are drawn for each photo.
    seed : int
        What they are drawn from.

    Returns
    -------
    cases : list of Case
        Pair by pair, photo by photo.
    left_out : dict
        Of each pair that lacks photos to teach it, how many photos of it are not asked.
    """
    rng = np.random.default_rng([seed, 4])
    cases: list[Case] = []
    left_out: dict[Pair, int] = {}
    for pair, queries in photos.items():
        for query in queries:
            pools = _pools(dataset, pair, queries, query, swap)
            if any(len(pool) < shots for pool in pools):
                left_out[pair] = left_out.get(pair, 0) + 1
                continue
            for _ in range(draws):
                drawn = [tuple(rng.choice(p, shots, replace=False).tolist()) for p in pools]
                cases.append(Case(query, pair, (drawn[0], drawn[-1])))
    return cases, left_out


def _pools(
    dataset: SegmentationSet, pair: Pair, queries: Sequence[int], query: int, swap: Kind
) -> list[list[int]]:
    """Return the photos that may teach either class; one list where they teach both."""
    if swap == "mask":
        return [[photo for photo in queries if photo != query]]
    first, second = pair
    return [
        np.flatnonzero(dataset.eligible[:, own] & ~dataset.present[:, other]).tolist()
        for own, other in ((first, second), (second, first))
    ]
