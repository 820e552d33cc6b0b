"""Masks as pictures: outlines over photos, a sheet of examples and answers, a section of a page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from handful.answers import Segmentation, Segmentations
from handful.data.segmentation.photos import SegmentationSet, resized_mask
from handful.files import replacing
from handful.images import grid, read, resize
from handful.report.objects import PALETTE
from handful.report.page import Section, inline, render

LONG = 1200
"""Long side of an overlay at most, in pixels."""

CELL, COLUMNS = 300, 4
"""Side of a picture of a sheet, and pictures in a row."""

_FILL = 0.3


def colours_of(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour for each class, told apart with any kind of colour vision.

    The first is vermilion, which neither stained tissue nor a dark ground swallows.
    """
    return {label: PALETTE[(place + 1) % len(PALETTE)] for place, label in enumerate(labels)}


def overlay(
    image: NDArray[np.uint8],
    instances: Mapping[str, NDArray[np.integer[Any]] | None],
    colours: Mapping[str, str],
    long: int = LONG,
) -> NDArray[np.uint8]:
    """Tint what each class covers, and draw the outline of every object.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8.
    instances : mapping of str to (array or None)
        Of each label the numbers of its objects, over the whole picture, at any size; 0 or None
        where it is not.
    colours : mapping of str to str
        Of each label.
    long : int
        A larger picture is shrunk to this long side.

    Returns
    -------
    ndarray
        (h, w, 3) uint8.

    Examples
    --------
    >>> photo = np.zeros((20, 20, 3), np.uint8)
    >>> cell = np.zeros((20, 20), np.int32)
    >>> cell[5:15, 5:15] = 1
    >>> drawn = overlay(photo, {"cell": cell}, {"cell": "#ff0000"})
    >>> drawn[0, 0].tolist(), drawn[5, 5].tolist(), drawn[10, 10].tolist()
    ([0, 0, 0], [255, 0, 0], [76, 0, 0])
    """
    height, width = image.shape[:2]
    scale = min(1.0, long / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    drawn = np.array(resize(image, size))
    pen = max(1, round(max(size) / 400))
    for label, numbers in instances.items():
        if numbers is None:
            continue
        small = _nearest(numbers, size)
        colour = np.array(ImageColor.getrgb(colours[label]), np.float32)
        inside, edge = small > 0, _edges(small, pen)
        drawn[inside] = (1 - _FILL) * drawn[inside] + _FILL * colour
        drawn[edge] = colour
    return drawn


def draw_sheet(
    examples: Sequence[tuple[str, NDArray[np.uint8]]],
    answers: Sequence[tuple[str, NDArray[np.uint8]]],
) -> NDArray[np.uint8]:
    """Lay examples and, below a line, answers out on one sheet.

    Parameters
    ----------
    examples, answers : sequence of (str, ndarray)
        Captions and overlays (h, w, 3) uint8; there may be no examples.

    Returns
    -------
    ndarray
        (H, W, 3) uint8.
    """
    parts = [
        grid([image for _, image in group], COLUMNS, [text for text, _ in group], cell=CELL)
        for group in (examples, answers)
        if group
    ]
    width = max(part.shape[1] for part in parts)
    parts = [
        np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)), constant_values=255)
        for part in parts
    ]
    line = np.full((2, width, 3), 160, np.uint8)
    rows = [parts[0], *(row for part in parts[1:] for row in (line, part))]
    return np.concatenate(rows)


def write_picture(path: str | os.PathLike[str], picture: NDArray[np.uint8]) -> None:
    """Write a picture as a PNG; whole or not at all."""
    with replacing(path) as part:
        Image.fromarray(picture).save(part, "PNG", optimize=True)


def example_panels(
    photos: SegmentationSet, colours: Mapping[str, str], most: int = 8
) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return the first examples with the masks that they came with: captions and overlays."""
    panels = []
    for place in range(min(most, len(photos))):
        shown = [photos.labels[c] for c in np.flatnonzero(photos.present[place])]
        masks = {
            label: (photos.mask(place, photos.labels.index(label)) == 1).astype(np.int32)
            for label in shown
            if label in colours
        }
        picture = overlay(photos.image(place), masks, colours, 2 * CELL)
        panels.append((f"example: {', '.join(shown) or 'none of it'}", picture))
    return panels


def answer_panel(
    answer: Segmentation, image: NDArray[np.uint8], colours: Mapping[str, str], long: int = LONG
) -> tuple[str, NDArray[np.uint8]]:
    """Return one answer: what was found where, and its overlay."""
    found = [
        f"{region.label}: {region.objects} ({region.score:.2f})"
        for region in answer
        if region.present
    ]
    instances = {region.label: region.instances for region in answer}
    return ", ".join(found) or "nothing found", overlay(image, instances, colours, long)


@dataclass(frozen=True)
class Segmented:
    """A support with masks, and pictures of which is known where the objects are.

    Attributes
    ----------
    support : SegmentationSet
        The examples.
    answers : Segmentations
        What was answered, of pictures that have a path.
    truth : tuple of ndarray
        Of each picture the numbers of its objects, (H, W) integers, 0 where none is; they are all
        of the support's first class.
    """

    support: SegmentationSet
    answers: Segmentations
    truth: tuple[NDArray[np.integer[Any]], ...]

    @cached_property
    def colours(self) -> dict[str, str]:
        """The colour of each class."""
        return colours_of(self.support.labels)

    def counts(self) -> dict[str, Any]:
        """Compare masks and numbers of objects with the truth.

        Returns
        -------
        dict
            ``iou`` over all pixels of all pictures, ``counted`` and ``objects`` in all,
            ``count_error`` (mean over pictures of the error in shares of the truth), and
            ``pictures``: the same for each.
        """
        both = either = 0
        rows: list[dict[str, Any]] = []
        label = self.support.labels[0]
        for answer, truth in zip(self.answers, self.truth, strict=True):
            region, there = answer[label], truth > 0
            mask = np.zeros(there.shape, bool) if region.mask is None else region.mask
            common, joint = int((mask & there).sum()), int((mask | there).sum())
            both, either = both + common, either + joint
            objects = int(np.count_nonzero(np.unique(truth)))
            rows.append(
                {
                    "image": Path(str(answer.image)).name,
                    "iou": common / joint if joint else 1.0,
                    "counted": region.objects,
                    "objects": objects,
                }
            )
        errors = [abs(r["counted"] - r["objects"]) / max(1, r["objects"]) for r in rows]
        return {
            "model": self.answers.model,
            "backbone": self.answers.backbone,
            "threshold": self.answers.threshold,
            "label": label,
            "examples": len(self.support),
            "iou": both / either if either else 1.0,
            "counted": sum(r["counted"] for r in rows),
            "objects": sum(r["objects"] for r in rows),
            "count_error": sum(errors) / len(errors),
            "pictures": rows,
        }

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Write the examples and the answers as one PNG; whole or not at all."""
        examples = example_panels(self.support, self.colours)
        rows = self.counts()["pictures"]
        answers = [
            (f"{row['counted']} counted, truly {row['objects']}; IoU {row['iou']:.2f}", picture)
            for row, (_, picture) in zip(rows, self._answered(), strict=True)
        ]
        write_picture(path, draw_sheet(examples, answers))

    def section(self, title: str) -> Section:
        """Return the figures and every picture as a section of a page."""
        counts = self.counts()
        shown = zip(counts["pictures"], self._answered(), strict=True)
        body = render(
            "segmentation.html",
            counts=counts,
            examples=[(text, inline(p)) for text, p in example_panels(self.support, self.colours)],
            answers=[(row, inline(picture)) for row, (_, picture) in shown],
        )
        return Section(title, body)

    def _answered(self) -> list[tuple[str, NDArray[np.uint8]]]:
        return [
            answer_panel(answer, read(str(answer.image)), self.colours, 2 * CELL)
            for answer in self.answers
        ]


def _nearest(numbers: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    return numbers if numbers.shape == size else resized_mask(numbers, size)


def _edges(numbers: NDArray[Any], pen: int) -> NDArray[np.bool_]:
    """Return the pixels of objects at most `pen` away from what is not of the same object."""
    edge = np.zeros(numbers.shape, bool)
    for step in range(1, pen + 1):
        for axis in (0, 1):
            moved = np.roll(numbers, step, axis), np.roll(numbers, -step, axis)
            for other, rim in zip(moved, (slice(step), slice(-step, None)), strict=True):
                if axis == 0:
                    other[rim] = numbers[rim]
                else:
                    other[:, rim] = numbers[:, rim]
                edge |= other != numbers
    return edge & (numbers > 0)
