"""Objects that were found, and what a table says of each."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.files import replacing


@dataclass(frozen=True, eq=False)
class FoundObject:
    """One object in one picture.

    Attributes
    ----------
    label : str
        Its class.
    mask : ndarray
        (H, W) bool over the whole picture, with at least one pixel.
    score : float or None
        How sure its finder is, in [0, 1].

    Examples
    --------
    >>> found = FoundObject("cell", np.array([[False, True, True], [False, True, True]]))
    >>> found.area, found.centroid, found.box
    (4, (2.0, 1.0), (1, 0, 2, 2))
    """

    label: str
    mask: NDArray[np.bool_]
    score: float | None = None

    @property
    def area(self) -> int:
        """Pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def centroid(self) -> tuple[float, float]:
        """Mean x and y of its pixels' middles; the picture's corner is (0, 0)."""
        rows, columns = np.nonzero(self.mask)
        return float(columns.mean() + 0.5), float(rows.mean() + 0.5)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The smallest x, y, width, height in pixels that hold it."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        left, top = int(columns[0]), int(rows[0])
        return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


@dataclass(frozen=True, eq=False)
class FoundImage:
    """A picture and the objects found in it.

    Attributes
    ----------
    path : str
        The picture's file, as a file of annotations shall name it.
    size : (int, int)
        Height and width.
    objects : tuple of FoundObject
        The objects; none is allowed.
    """

    path: str
    size: tuple[int, int]
    objects: tuple[FoundObject, ...]


def write_table(
    path: str | os.PathLike[str], images: Iterable[FoundImage], pixel_size: float | None = None
) -> None:
    """Write one CSV row for every object.

    Parameters
    ----------
    path : path-like
        The ``.csv`` file.
    images : iterable of FoundImage
        The pictures.
    pixel_size : float, optional
        The side of a pixel in micrometres: area, centroid and box stand in them too.

    Notes
    -----
    Columns: image, object (from 1 in each picture), label, score, area, centroid_x, centroid_y,
    x, y, width, height in pixels; with `pixel_size` area_um2, centroid_x_um, centroid_y_um, x_um,
    y_um, width_um, height_um.
    """
    pixels = ["area", "centroid_x", "centroid_y", "x", "y", "width", "height"]
    micrometres = ["area_um2", *(f"{name}_um" for name in pixels[1:])]
    head = ["image", "object", "label", "score", *pixels]
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head + (micrometres if pixel_size is not None else []))
        for image in images:
            for number, found in enumerate(image.objects, 1):
                values: Sequence[float] = (found.area, *found.centroid, *found.box)
                row = [*_rounded(values)]
                if pixel_size is not None:
                    scales = [pixel_size**2, *[pixel_size] * 6]
                    row += _rounded([v * s for v, s in zip(values, scales, strict=True)])
                score = "" if found.score is None else round(found.score, 4)
                writer.writerow([image.path, number, found.label, score, *row])


def _rounded(values: Sequence[float]) -> list[float]:
    return [value if isinstance(value, int) else round(value, 4) for value in values]
