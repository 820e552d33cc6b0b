"""Parts of any folder of classes that share no class: what is measured on was never learned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from handful.data.class_folders import ClassFolders
from handful.errors import InputError

HALVES = {"train": 0.5, "test": 0.5}


def split_classes(
    folder: ClassFolders, shares: Mapping[str, float] = HALVES, seed: int = 0
) -> dict[str, ClassFolders]:
    """Deal the classes of a folder out into parts, at random.

    Parameters
    ----------
    folder : ClassFolders
        The images; their order does not matter to what is drawn.
    shares : mapping of str to float
        The share of the classes of each part; they sum to 1.
    seed : int
        What the draw starts from.

    Returns
    -------
    dict of str to ClassFolders
        In the order of `shares`; every image is in exactly one part, in its old order.

    Raises
    ------
    ValueError
        Shares that are not above 0, or do not sum to 1.
    InputError
        Too few classes to give each part one.

    Examples
    --------
    >>> from pathlib import Path
    >>> labels = ("a", "a", "b", "c", "d")
    >>> folder = ClassFolders(Path(), tuple(Path(f"{i}") for i in range(5)), labels)
    >>> {name: part.classes for name, part in split_classes(folder, seed=1).items()}
    {'train': ('a', 'b'), 'test': ('c', 'd')}
    """
    values = np.array(list(shares.values()))
    if (values <= 0).any() or abs(values.sum() - 1) > 1e-9:
        raise ValueError(f"shares {dict(shares)}: above 0, and of the sum 1")
    classes = folder.classes
    ends = np.rint(np.cumsum(values) * len(classes)).astype(int)
    if (np.diff(ends, prepend=0) < 1).any():
        raise InputError(
            f"{folder.root}: {len(classes)} classes cannot be split into"
            f" {', '.join(shares)}; give more classes"
        )
    order = np.random.default_rng(seed).permutation(len(classes))
    part_of = dict(
        zip(
            [classes[i] for i in order],
            np.searchsorted(ends, range(len(order)), "right"),
            strict=True,
        )
    )
    part = np.array([part_of[label] for label in folder.labels])
    return {name: folder.take(np.flatnonzero(part == i)) for i, name in enumerate(shares)}
