"""Small real samples that come with the package, for the demo, the examples and the tests."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from handful.data.support import Support

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
