"""The data sets of the hashing protocol: which images are database and which are queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from handful.data.class_folders import ClassFolders, read_class_folders
from handful.errors import InputError

Dataset: TypeAlias = Literal["cifar10", "cifar100", "sun397", "folder"]
Ints: TypeAlias = NDArray[np.int64]

MORE_THAN = {"sun397": 500}
"""Only classes with more images than that are taken."""


@dataclass(frozen=True)
class Split:
    """Images to retrieve from, and images to retrieve by.

    Attributes
    ----------
    database, queries : ClassFolders
        None of the images is in both.
    """

    database: ClassFolders
    queries: ClassFolders


def read_split(dataset: Dataset, root: Path, queries_per_class: int = 100, seed: int = 0) -> Split:
    """List the images of a data set.

    Parameters
    ----------
    dataset : {"cifar10", "cifar100", "sun397", "folder"}
        ``cifar10`` has a folder ``train``, which is the database, and ``test``, the queries, each
        with a sub-folder for each class. The others have one sub-folder for each class, of which
        some images drawn are queries and the rest is the database; of ``sun397`` the classes with
        more than 500 images.
    root : Path
        The folder.
    queries_per_class : int
        Images of a class that are queries, where they are drawn.
    seed : int
        What they are drawn from.

    Raises
    ------
    InputError
        No such folders, or a class that has no image left for the database.
    """
    if dataset == "cifar10":
        return Split(read_class_folders(root / "train"), read_class_folders(root / "test"))
    folder = read_class_folders(root)
    number = class_numbers(folder.labels, folder.classes)
    size = np.bincount(number)
    large = np.flatnonzero(size > MORE_THAN.get(dataset, 0))
    if len(large) < 2:
        raise InputError(f"{root}: {len(large)} classes have more than {MORE_THAN[dataset]} images")
    if size[large].min() <= queries_per_class:
        least = folder.classes[int(large[size[large].argmin()])]
        raise InputError(
            f"{root}: the class {least!r} has {size[large].min()} images; with"
            f" {queries_per_class} queries none is left: give --queries-per-class"
        )
    order = np.random.default_rng(seed).permutation(len(number))
    members = [order[number[order] == c] for c in large]
    queries = np.sort(np.concatenate([rows[:queries_per_class] for rows in members]))
    database = np.sort(np.concatenate([rows[queries_per_class:] for rows in members]))
    return Split(folder.take(database), folder.take(queries))


def class_numbers(labels: Sequence[str], classes: Sequence[str]) -> Ints:
    """Return the place of each label among the classes.

    Examples
    --------
    >>> class_numbers(["b", "a", "b"], ["a", "b"]).tolist()
    [1, 0, 1]
    """
    place = {name: i for i, name in enumerate(classes)}
    return np.array([place[label] for label in labels], np.int64)
