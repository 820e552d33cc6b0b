"""Small real samples that come with the package, for the demo, the examples and the tests."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.manifest import Manifest, Row, read_manifest
from handful.data.segmentation.folder import read_folder
from handful.data.segmentation.photos import SegmentationSet
from handful.data.support import Support
from handful.images import read_mask

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Query:
    """An image to recognize, and what it shows.

    Attributes
    ----------
    path : Path
        The image.
    label : str or None
        Its class; None: a stranger, of no class of the support.
    """

    path: Path
    label: str | None


@dataclass(frozen=True)
class Sample:
    """A support folder, and queries whose answers are known.

    Attributes
    ----------
    folder : Path
        With ``support/CLASS/*.png``, ``query/*.png`` and ``truth.csv``.
    """

    folder: Path

    @cached_property
    def support(self) -> Support:
        """The labelled examples."""
        return Support.from_folder(self.folder / "support")

    @cached_property
    def queries(self) -> tuple[Query, ...]:
        """The images to recognize, strangers among them."""
        with (self.folder / "truth.csv").open(newline="", encoding="utf-8") as file:
            return tuple(
                Query(self.folder / "query" / row["image"], row["label"] or None)
                for row in csv.DictReader(file)
            )


def omniglot() -> Sample:
    """Return 20 handwritten characters, one example and two queries each, and six strangers.

    They are of Omniglot's evaluation alphabets, which no bundled model has learned from.

    Examples
    --------
    >>> sample = omniglot()
    >>> len(sample.support.images), len(sample.queries)
    (20, 46)
    >>> sum(query.label is None for query in sample.queries)
    6
    """
    return Sample(HERE / "omniglot")


@dataclass(frozen=True)
class ObjectSample:
    """Photos with many objects each, some of them examples, the others known to the sample.

    Attributes
    ----------
    folder : Path
        With ``images/*.jpg``, ``support.csv`` and ``query.csv``.
    """

    folder: Path

    @cached_property
    def support(self) -> Support:
        """The labelled examples, cut out by their boxes."""
        return Support.from_manifest(self.folder / "support.csv")

    @cached_property
    def queries(self) -> Manifest:
        """The objects to name; their labels are the truth."""
        return read_manifest(self.folder / "query.csv")

    def by_label(self) -> dict[str, list[Row]]:
        """Return the objects to name, by what they are."""
        found: dict[str, list[Row]] = {}
        for row in self.queries:
            found.setdefault(str(row.label), []).append(row)
        return found


def cells() -> ObjectSample:
    """Return red cells, white cells and platelets of twelve photos of blood.

    Three photos give an example of each; the objects of the other nine are to be named.

    Examples
    --------
    >>> sample = cells()
    >>> sample.support.classes, len(sample.support), len({row.path for row in sample.queries})
    (('Platelets', 'RBC', 'WBC'), 9, 9)
    """
    return ObjectSample(HERE / "cells")


@dataclass(frozen=True)
class MaskSample:
    """A picture with its mask, and pictures whose masks are known.

    Attributes
    ----------
    folder : Path
        With ``support`` and ``query``, each with ``images/*.png`` and ``masks/*.png``.
    """

    folder: Path

    @cached_property
    def support(self) -> SegmentationSet:
        """The example."""
        return read_folder(self.folder / "support")

    @cached_property
    def queries(self) -> SegmentationSet:
        """The pictures to segment; their masks are the truth."""
        return read_folder(self.folder / "query")

    @cached_property
    def truth(self) -> tuple[NDArray[np.integer[Any]], ...]:
        """Of each query the numbers of its objects, (H, W), 0 where none is."""
        masks = self.folder / "query" / "masks"
        return tuple(read_mask(masks / Path(path).name) for path in self.queries.paths)


def nuclei() -> MaskSample:
    """Return stained nuclei: one picture with all nuclei marked, and four to count them in.

    Examples
    --------
    >>> sample = nuclei()
    >>> len(sample.support), len(sample.queries), sample.truth[0].shape
    (1, 4, (256, 320))
    """
    return MaskSample(HERE / "nuclei")
