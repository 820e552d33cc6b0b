"""Retrieval and re-identification sets in their published layouts, and any folder as one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from handful.data.class_folders import ClassFolders, read_class_folders
from handful.data.retrieval_sets.cameras import MARKET, VERI, read_cameras, read_cameras_train
from handful.data.retrieval_sets.cars import read_cars
from handful.data.retrieval_sets.cub import read_cub
from handful.data.retrieval_sets.disjoint import HALVES, split_classes
from handful.data.retrieval_sets.lists import Part
from handful.data.retrieval_sets.products import read_products
from handful.data.retrieval_sets.reid_set import DISTRACTOR, JUNK, ReidSet

RetrievalLayout: TypeAlias = Literal["folders", "cub", "cars", "sop"]
ReidLayout: TypeAlias = Literal["market", "cuhk03", "veri", "folders"]


@dataclass(frozen=True)
class PublishedSet:
    """A retrieval set as papers measure on it.

    Attributes
    ----------
    read : callable
        Reads one part of it from a folder.
    ks : tuple of int
        The lengths of a result list that papers report.
    images, classes : int
        Of the test part: one of another size is not what was published.
    """

    read: Callable[[str | os.PathLike[str], Part], ClassFolders]
    ks: tuple[int, ...]
    images: int
    classes: int


PUBLISHED: dict[str, PublishedSet] = {
    "cub": PublishedSet(read_cub, (1, 2, 4, 8), 5_924, 100),
    "cars": PublishedSet(read_cars, (1, 2, 4, 8), 8_131, 98),
    "sop": PublishedSet(read_products, (1, 10, 100, 1000), 60_502, 11_316),
}


def read_retrieval_set(
    root: str | os.PathLike[str], layout: RetrievalLayout = "folders", part: Part = "test"
) -> ClassFolders:
    """Read the images of a retrieval set.

    Parameters
    ----------
    root : path-like
        The folder of the set.
    layout : {"folders", "cub", "cars", "sop"}
        How it is kept. ``folders``, one sub-folder a class, has no parts: all of it is read.
    part : {"train", "test"}
        Which classes of a published set.

    Raises
    ------
    InputError
        The folder is not in that layout.
    """
    if layout == "folders":
        return read_class_folders(root)
    return PUBLISHED[layout].read(root, part)


def read_reid_set(root: str | os.PathLike[str], layout: ReidLayout = "folders") -> ReidSet:
    """Read the queries and the gallery of a re-identification set.

    Parameters
    ----------
    root : path-like
        The folder of the set.
    layout : {"market", "cuhk03", "veri", "folders"}
        How it is kept. In ``folders``, one sub-folder an identity, every image queries all
        others; nobody knows of cameras, but for a manifest, where the groups are taken for them.

    Raises
    ------
    InputError
        The folder is not in that layout.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> root = Path(tempfile.mkdtemp())
    >>> names = ["query/0002_c1s1_01_00.jpg", "bounding_box_test/0002_c2s1_01_00.jpg"]
    >>> for name in [*names, "bounding_box_test/-1_c1s1_01_00.jpg"]:
    ...     (root / name).parent.mkdir(exist_ok=True)
    ...     (root / name).touch()
    >>> found = read_reid_set(root, "market")
    >>> found.images.labels, found.camera.tolist(), found.junk
    (('0002', '0002'), [1, 2], 1)
    """
    if layout != "folders":
        return read_cameras(root, VERI if layout == "veri" else MARKET)
    images = read_class_folders(root)
    both = np.ones(len(images), bool)
    return ReidSet(images, query=both, gallery=both, camera=images.group_numbers)


def read_reid_train(root: str | os.PathLike[str], layout: ReidLayout) -> ClassFolders:
    """Read what a re-identification set gives to learn from.

    Parameters
    ----------
    root : path-like
        The folder of the set.
    layout : {"market", "cuhk03", "veri", "folders"}
        How it is kept; ``folders`` has no parts, see :func:`split_classes`.

    Raises
    ------
    InputError
        The folder is not in that layout.
    """
    if layout == "folders":
        return read_class_folders(root)
    return read_cameras_train(root, VERI if layout == "veri" else MARKET)


__all__ = [
    "DISTRACTOR",
    "HALVES",
    "JUNK",
    "PUBLISHED",
    "Part",
    "PublishedSet",
    "ReidLayout",
    "ReidSet",
    "RetrievalLayout",
    "read_cars",
    "read_cub",
    "read_products",
    "read_reid_set",
    "read_reid_train",
    "read_retrieval_set",
    "split_classes",
]
