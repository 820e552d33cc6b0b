"""What segmentation answers: where each class is in a picture, how surely, and how many objects.

An answer holds plain Python values and arrays only, so it outlives the model that gave it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from handful.answers.several import Several
from handful.files import write_text


@dataclass(frozen=True, eq=False)
class Region:
    """Where one class is in one picture.

    Attributes
    ----------
    label : str
        The class.
    score : float
        How sure it is that the class is there at all, in [0, 1]; larger is surer.
    instances : ndarray or None
        (H, W) int32 at the picture's own size: 0 where the class is not, and the number of the
        object, from 1 on, where it is; None where the class is not there.

    Examples
    --------
    >>> region = Region("cell", 0.9, np.array([[0, 1, 1], [2, 0, 0]], np.int32))
    >>> region.present, region.objects, region.area
    (True, 2, 0.5)
    >>> Region("cell", 0.1, None).to_json()["mask"] is None
    True
    """

    label: str
    score: float
    instances: NDArray[np.int32] | None

    @property
    def present(self) -> bool:
        """Whether the class is there."""
        return self.instances is not None

    @cached_property
    def mask(self) -> NDArray[np.bool_] | None:
        """Which pixels show the class, (H, W) bool; None where it is not there."""
        return None if self.instances is None else self.instances > 0

    @cached_property
    def area(self) -> float:
        """The share of the picture that the class covers, in [0, 1]."""
        return 0.0 if self.mask is None else float(self.mask.mean())

    @cached_property
    def objects(self) -> int:
        """How many objects there are."""
        return 0 if self.instances is None else int(self.instances.max())

    def to_json(self, mask: str | None = None) -> dict[str, Any]:
        """Return the answer as a plain dictionary; `mask` is the file that holds the pixels."""
        return {
            "label": self.label,
            "mask": mask,
            "area": self.area,
            "score": self.score,
            "present": self.present,
            "objects": self.objects,
        }


@dataclass(frozen=True, eq=False)
class Segmentation(Sequence[Region]):
    """Where the classes are in one picture.

    Attributes
    ----------
    image : str or None
        The path as it was given; None for a picture that was given as pixels.
    size : (int, int)
        Height and width of the picture, in pixels.
    regions : tuple of Region
        One for each class of the support, in the order of its labels.
    warnings : tuple of str
        What to know of this answer, one line each.

    Examples
    --------
    >>> found = Segmentation("a.png", (1, 2), (Region("cell", 0.2, None),))
    >>> found["cell"].present, found[0].label
    (False, 'cell')
    """

    image: str | None
    size: tuple[int, int]
    regions: tuple[Region, ...]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.regions)

    def __iter__(self) -> Iterator[Region]:
        return iter(self.regions)

    @overload
    def __getitem__(self, key: int | str) -> Region: ...

    @overload
    def __getitem__(self, key: slice) -> tuple[Region, ...]: ...

    def __getitem__(self, key: int | str | slice) -> Region | tuple[Region, ...]:
        if not isinstance(key, str):
            return self.regions[key]
        for region in self.regions:
            if region.label == key:
                return region
        raise KeyError(key)

    @property
    def masks(self) -> dict[str, NDArray[np.bool_] | None]:
        """The mask of each class, by its label; None where it is not there."""
        return {region.label: region.mask for region in self.regions}

    def to_json(self, masks: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return everything but the pixels; `masks` names the file of each label's mask."""
        files = masks or {}
        return {
            "image": self.image,
            "classes": [region.to_json(files.get(region.label)) for region in self.regions],
        }


@dataclass(frozen=True, eq=False)
class Segmentations(Several[Segmentation]):
    """The segmentations of several pictures, in the order in which they were given.

    Attributes
    ----------
    results : tuple of Segmentation
        One answer per picture that could be read.
    model, backbone : str
        What gave the answers.
    threshold : float or None
        The score below which a class is answered as absent; None: never.
    chosen : str
        Why this model was used.
    skipped : tuple of (str, str)
        The pictures that could not be read, each with the reason.
    warnings : tuple of str
        What to look at in the support before trusting the answers, and what to know of each.
    """

    results: tuple[Segmentation, ...]
    model: str
    backbone: str
    threshold: float | None = None
    chosen: str = ""
    skipped: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self, masks: Sequence[Mapping[str, str]] | None = None) -> dict[str, Any]:
        """Return everything but the pixels as plain lists and dictionaries.

        Parameters
        ----------
        masks : sequence of mapping, optional
            Of each picture, the file of each label's mask.
        """
        files = masks if masks is not None else [{}] * len(self.results)
        return {
            "model": self.model,
            "backbone": self.backbone,
            "threshold": self.threshold,
            "chosen": self.chosen,
            "results": [
                found.to_json(names) for found, names in zip(self.results, files, strict=True)
            ],
            "skipped": [list(pair) for pair in self.skipped],
            "warnings": list(self.warnings),
        }

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one row per picture and class: image, label, present, score, area, objects.

        Parameters
        ----------
        path : path-like
            The file to write; it is replaced whole or not at all. ``area`` is a share of the
            picture.
        """
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow(["image", "label", "present", "score", "area", "objects"])
        for found in self.results:
            for region in found.regions:
                values = [format(region.score, ".6g"), format(region.area, ".6g")]
                present = "yes" if region.present else "no"
                writer.writerow([found.image or "", region.label, present, *values, region.objects])
        write_text(path, rows.getvalue())


@dataclass(frozen=True, slots=True)
class MaskSuspect:
    """An example whose mask the other examples of its class would not draw.

    Attributes
    ----------
    index : int
        Its place among the examples of all classes, in the order given.
    image : str or None
        Its path, where it has one.
    label : str
        The class.
    iou : float
        How far its mask and the one found without it overlap, in [0, 1].
    usual : float
        The median of its class.
    """

    index: int
    image: str | None
    label: str
    iou: float
    usual: float

    def __str__(self) -> str:
        name = self.image or f"example {self.index}"
        return (
            f"{name}: the others find {self.label!r} elsewhere (IoU {self.iou:.2f}, where"
            f" {self.usual:.2f} is usual); look at its mask"
        )


@dataclass(frozen=True, slots=True)
class MaskCheck:
    """How well the support explains itself, each example left out once.

    Attributes
    ----------
    iou : float
        Mean overlap of the masks given with those found by the other examples, in [0, 1].
    tested : int
        Examples of classes with two or more; the only example of a class cannot be left out.
    suspects : tuple of MaskSuspect
        The examples that look wrong, the most suspicious first.
    """

    iou: float
    tested: int
    suspects: tuple[MaskSuspect, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should look at, one line each."""
        return tuple(map(str, self.suspects))

    def to_json(self) -> dict[str, Any]:
        """Return the check as plain lists and dictionaries."""
        return {
            "iou": self.iou,
            "tested": self.tested,
            "suspects": [asdict(suspect) for suspect in self.suspects],
        }
