"""The value of a re-identification set: queries, a gallery, and who saw what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.data.class_folders import ClassFolders

DISTRACTOR = "0000"
"""The identity of gallery images that show nobody who is looked for: they stay in."""

JUNK = "-1"
"""The identity of gallery images that neither help nor harm: they are left out."""


@dataclass(frozen=True, eq=False)
class ReidSet:
    """The images that search, and those that are searched.

    Attributes
    ----------
    images : ClassFolders
        All of them; a label is an identity.
    query, gallery : ndarray
        (N,) bool: whether each image searches, and whether it is searched. Where an image does
        both, it is not among its own results.
    camera : ndarray or None
        (N,) int64: who saw each image; None where that is not known.
    junk : int
        How many images were left out as junk.
    """

    images: ClassFolders
    query: NDArray[np.bool_]
    gallery: NDArray[np.bool_]
    camera: NDArray[np.int64] | None = None
    junk: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def take(self, which: ArrayLike, skipped: Iterable[tuple[str, str]] = ()) -> ReidSet:
        """Return some of the images, by number, and list what else was `skipped`."""
        rows = np.asarray(which, np.int64)
        return replace(
            self,
            images=self.images.take(rows, skipped),
            query=self.query[rows],
            gallery=self.gallery[rows],
            camera=None if self.camera is None else self.camera[rows],
        )
