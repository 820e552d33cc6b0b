"""What finding answers: the pictures of an index that show what the examples show.

An answer holds plain Python values only, so it outlives the index that gave it.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import asdict, dataclass
from typing import Any, Literal

from handful.answers.several import Several
from handful.files import write_text

SearchKind = Literal["exact", "shortlist", "codes"]


@dataclass(frozen=True, slots=True)
class Match:
    """A picture that was found.

    Attributes
    ----------
    image : str
        Its path.
    score : float
        In [0, 1]; larger is surer that it shows what the examples show.
    distance : float
        From the examples: 1 - cosine to their mean, in [0, 2], or of codes the bits that differ.
    """

    image: str
    score: float
    distance: float

    def to_json(self) -> dict[str, Any]:
        """Return the match as a plain dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class Matches(Several[Match]):
    """The pictures found, the surest first.

    Attributes
    ----------
    results : tuple of Match
        Ranked.
    search : {"exact", "shortlist", "codes"}
        How: every feature compared; those on a shortlist that codes made; codes alone.
    model, backbone : str
        What encoded the pictures.
    head : str
        What ranked them: ``prototype`` or ``logistic``.
    images : int
        How many pictures were searched.
    examples, not_examples : tuple of (str or None)
        The paths of what was given; None for a picture given as pixels.
    bits : int or None
        The length of the codes, where codes alone were searched.
    skipped : tuple of (str, str)
        What could not be read, each with the reason.

    Examples
    --------
    >>> found = Matches((Match("a.jpg", 0.9, 0.2),), "exact", "handful-base", "handful-base")
    >>> found[0].image, found.to_json()["results"]
    ('a.jpg', [{'image': 'a.jpg', 'score': 0.9, 'distance': 0.2}])
    """

    results: tuple[Match, ...]
    search: SearchKind
    model: str
    backbone: str
    head: str = "prototype"
    images: int = 0
    examples: tuple[str | None, ...] = ()
    not_examples: tuple[str | None, ...] = ()
    bits: int | None = None
    skipped: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the matches as plain lists and dictionaries."""
        return {
            "search": self.search,
            "model": self.model,
            "backbone": self.backbone,
            "head": self.head,
            "images": self.images,
            **({} if self.bits is None else {"bits": self.bits}),
            "examples": list(self.examples),
            "not_examples": list(self.not_examples),
            "results": [match.to_json() for match in self.results],
            "skipped": [list(pair) for pair in self.skipped],
        }

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one row per match: rank, image, score, distance; whole or not at all."""
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow(["rank", "image", "score", "distance"])
        for rank, match in enumerate(self.results, 1):
            figures = (format(match.score, ".6g"), format(match.distance, ".6g"))
            writer.writerow([rank, match.image, *figures])
        write_text(path, rows.getvalue())


@dataclass(frozen=True, slots=True)
class Synced:
    """What bringing an index up to its folder did.

    Attributes
    ----------
    index : str
        The folder of the index.
    images : int
        How many pictures it holds now.
    added, changed, moved, removed : int
        Pictures that are new, have another content, have another path, are gone.
    skipped : tuple of (str, str)
        Files that cannot be read, each with the reason.
    model, backbone : str
        What encodes the pictures.
    chosen : str
        Why this model is used.
    seconds : float
        What it took.
    """

    index: str
    images: int
    added: int
    changed: int
    moved: int
    removed: int
    skipped: tuple[tuple[str, str], ...]
    model: str
    backbone: str
    chosen: str = ""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as a plain dictionary."""
        return asdict(self) | {"skipped": [list(pair) for pair in self.skipped]}
