"""What recognition answers.

An answer holds plain Python values only, so it outlives the model that gave it.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from handful.answers.several import Several
from handful.files import write_text


@dataclass(frozen=True, slots=True)
class Label:
    """What one image shows.

    Attributes
    ----------
    image : str or None
        The path as it was given; None for a picture that was given as pixels.
    label : str or None
        The best class of the support, or None: none of these.
    score : float
        The score of the best class, in [0, 1]; larger is surer.
    ranking : tuple of (str, float)
        Every class with its score, best first.
    box : (x, y, width, height) or None
        Which object of the image was named, in pixels; None: the whole image.
    group : str or None
        ``new-1``, ``new-2``, ... where the answer is "none of these" and what was rejected was
        put into groups; None elsewhere.
    """

    image: str | None
    label: str | None
    score: float
    ranking: tuple[tuple[str, float], ...]
    box: tuple[float, float, float, float] | None = None
    group: str | None = None

    @property
    def nearest(self) -> str:
        """The best class even where the answer is "none of these"."""
        return self.ranking[0][0]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain lists and dictionaries; box and group where there is one."""
        value: dict[str, Any] = {"image": self.image}
        if self.box is not None:
            value["box"] = list(self.box)
        value |= {"label": self.label, "score": self.score}
        if self.group is not None:
            value["group"] = self.group
        return value | {"ranking": [[label, score] for label, score in self.ranking]}


@dataclass(frozen=True)
class Labels(Several[Label]):
    """The labels of several images, in the order in which they were given.

    Attributes
    ----------
    results : tuple of Label
        One answer per image that could be read.
    model, backbone : str
        What gave the answers.
    threshold : float or None
        The score below which the answer is "none of these"; None: never.
    chosen : str
        Why this model was used.
    skipped : tuple of (str, str)
        The images that could not be read, each with the reason.
    warnings : tuple of str
        What to look at in the support before trusting the answers.

    Examples
    --------
    >>> one = Label("a.png", "cat", 0.9, (("cat", 0.9), ("dog", 0.2)))
    >>> answers = Labels((one,), model="omniglot-small", backbone="compact", threshold=0.5)
    >>> len(answers), answers[0].label
    (1, 'cat')
    >>> answers.to_json()["results"][0]["ranking"]
    [['cat', 0.9], ['dog', 0.2]]
    """

    results: tuple[Label, ...]
    model: str
    backbone: str
    threshold: float | None = None
    chosen: str = ""
    skipped: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str | None, ...]:
        """The label of each image; None: none of these."""
        return tuple(answer.label for answer in self.results)

    def to_json(self) -> dict[str, Any]:
        """Return the answers as plain lists and dictionaries."""
        return {
            "model": self.model,
            "backbone": self.backbone,
            "threshold": self.threshold,
            "chosen": self.chosen,
            "results": [answer.to_json() for answer in self.results],
            "skipped": [list(pair) for pair in self.skipped],
            "warnings": list(self.warnings),
        }

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one row per answer: image, label (empty: none of these), score, nearest, next.

        Where an answer is about an object of its image, there are columns x, y, width and height
        too; where an answer has a group, a column group.

        Parameters
        ----------
        path : path-like
            The file to write; it is replaced whole or not at all.
        """
        boxed = any(answer.box for answer in self.results)
        grouped = any(answer.group for answer in self.results)
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow(
            ["image", *(["x", "y", "width", "height"] if boxed else [])]
            + ["label", "score", "nearest", "second", "second_score"]
            + (["group"] if grouped else [])
        )
        for answer in self.results:
            second = answer.ranking[1] if len(answer.ranking) > 1 else ("", "")
            score = format(answer.score, ".6g")
            other = format(second[1], ".6g") if second[0] else ""
            box = [format(value, ".10g") for value in answer.box or ()] or [""] * 4
            row = [answer.image or "", *(box if boxed else [])]
            row += [answer.label or "", score, answer.nearest, second[0], other]
            writer.writerow([*row, *([answer.group or ""] if grouped else [])])
        write_text(path, rows.getvalue())


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether two images show one class.

    Attributes
    ----------
    same : bool
        True where `score` reaches `threshold`.
    score : float
        In [0, 1]; larger is surer that they show one class.
    threshold : float
        The score from which the answer is yes.
    model, backbone : str
        What gave the answer.
    chosen : str
        Why this model was used.
    """

    same: bool
    score: float
    threshold: float
    model: str
    backbone: str
    chosen: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the answer as a plain dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Suspect:
    """An example of the support that the other examples take for another class.

    Attributes
    ----------
    index : int
        Its place among the examples given to ``fit``.
    image : str or None
        Its path, where it has one.
    label : str
        The class that it was given under.
    looks_like : str
        The class that the other examples put it in.
    score, own_score : float
        Its scores for `looks_like` and for `label`, each in [0, 1], without itself in the support.
    """

    index: int
    image: str | None
    label: str
    looks_like: str
    score: float
    own_score: float

    def __str__(self) -> str:
        name = self.image or f"example {self.index}"
        return (
            f"{name}: given as {self.label!r}, looks like {self.looks_like!r}"
            f" ({self.score:.2f} against {self.own_score:.2f})"
        )


@dataclass(frozen=True, slots=True)
class SupportCheck:
    """How well the support explains itself, each example left out once.

    Attributes
    ----------
    accuracy : float
        Share of the tested examples that the others name rightly.
    tested : int
        Examples of classes with two or more; the only example of a class cannot be left out.
    suspects : tuple of Suspect
        The examples that look mislabelled, the most suspicious first.
    """

    accuracy: float
    tested: int
    suspects: tuple[Suspect, ...]

    TRUSTED: ClassVar[float] = 0.5
    """Below this accuracy the model hardly tells the classes apart, and suspects nobody."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should look at, one line each."""
        if self.accuracy >= self.TRUSTED:
            return tuple(map(str, self.suspects))
        right = round(self.accuracy * self.tested)
        return (
            f"left out one by one, only {right} of {self.tested} examples are named rightly:"
            " this model hardly tells these classes apart",
        )

    def to_json(self) -> dict[str, Any]:
        """Return the check as plain lists and dictionaries."""
        return {
            "accuracy": self.accuracy,
            "tested": self.tested,
            "suspects": [asdict(suspect) for suspect in self.suspects],
        }
