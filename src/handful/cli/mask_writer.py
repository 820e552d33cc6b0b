"""What ``handful segment`` writes: masks, overlays, a sheet, and files of annotations."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from handful.answers import Segmentation
from handful.data.annotations.coco import write_coco
from handful.data.annotations.labelme import write_labelme
from handful.data.annotations.mask import write_labels, write_mask
from handful.data.annotations.objects import FoundImage, FoundObject, write_table
from handful.data.pictures import box, whole
from handful.data.segmentation.photos import SegmentationSet
from handful.data.support import Support
from handful.images import read, resize
from handful.methods.masks.refining import box_mask
from handful.report.segmentation import (
    CELL,
    answer_panel,
    colours_of,
    draw_sheet,
    example_panels,
    overlay,
    write_picture,
)
from handful.segment import Segmenter

Format = Literal["png", "labels", "coco", "labelme", "csv"]

Examples = SegmentationSet | Support | None
"""What was fitted to: pictures with masks, with boxes or labels alone, or nothing new."""

SHEET = 24
"""Queries that the sheet shows at most."""


@dataclass
class MaskWriter:
    """Segments picture after picture and writes each, so that only one is in memory.

    Attributes
    ----------
    segmenter : Segmenter
        Fitted.
    out : Path
        The folder to write into.
    format : str
        What is written beside the masks.
    results : list of dict
        Of each picture, what the command prints.
    skipped : list of (str, str)
        Pictures that could not be read, each with the reason.
    written : list of Path
        The files that the format asked for.
    warnings : list of str
        What to know of the answers.
    panels, stems
        Small overlays for the sheet, and names that are taken.
    """

    segmenter: Segmenter
    out: Path
    format: Format
    results: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    panels: list[tuple[str, NDArray[np.uint8]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stems: set[str] = field(default_factory=set)

    def write(self, paths: Iterator[Path], pixel_size: float | None) -> None:
        """Write masks, overlays and what the format asks for."""
        found = self._found(paths)
        if self.format == "coco":
            self.written.append(self.out / "annotations.json")
            write_coco(self.written[-1], found, self.segmenter.classes_.tolist())
        elif self.format == "csv":
            self.written.append(self.out / "objects.csv")
            write_table(self.written[-1], found, pixel_size)
        else:
            deque(found, maxlen=0)

    def sheet(self, photos: Examples) -> Path:
        """Write the examples, where they were given, and the answers as one picture."""
        colours = colours_of(self.segmenter.classes_.tolist())
        examples = []
        if isinstance(photos, SegmentationSet):
            examples = example_panels(photos, colours)
        elif photos is not None:
            examples = list(_unmasked_panels(photos, colours))
        path = self.out / "sheet.png"
        write_picture(path, draw_sheet(examples, self.panels))
        return path

    def _found(self, paths: Iterator[Path]) -> Iterator[FoundImage]:
        for path in paths:
            answers = self.segmenter.predict([str(path)], on_error="skip")
            self.skipped += answers.skipped
            for answer in answers:
                self.warnings += answer.warnings
                yield self._one(path, answer)

    def _one(self, path: Path, answer: Segmentation) -> FoundImage:
        stem = self._stem(path)
        files = {}
        for region in answer:
            if region.mask is None:
                continue
            own = stem if len(answer) == 1 else f"{stem}-{_slug(region.label)}"
            files[region.label] = str(self.out / f"{own}.png")
            write_mask(files[region.label], region.mask)
            if self.format == "labels" and region.instances is not None:
                self.written.append(self.out / f"{own}.tif")
                write_labels(self.written[-1], region.instances)
        colours = colours_of(self.segmenter.classes_.tolist())
        text, drawn = answer_panel(answer, read(path), colours)
        shown = self.out / "overlays" / f"{stem}.png"
        write_picture(shown, drawn)
        if len(self.panels) < SHEET:
            scale = min(1.0, 2 * CELL / max(drawn.shape))
            small = resize(drawn, (round(drawn.shape[0] * scale), round(drawn.shape[1] * scale)))
            self.panels.append((f"{path.name}: {text}", small))
        self.results.append({**answer.to_json(files), "overlay": str(shown)})
        # a table is read anywhere, annotations beside the file that holds them
        named = str(path) if self.format == "csv" else _seen_from(self.out, path)
        found = FoundImage(named, answer.size, _objects(answer))
        if self.format == "labelme":
            self.written.append(self.out / f"{stem}.json")
            write_labelme(self.written[-1], found)
        return found

    def _stem(self, path: Path) -> str:
        """Return a name for the files of a picture that no other picture's files have."""
        stem, number = path.stem, 1
        while stem.casefold() in self.stems:
            number += 1
            stem = f"{path.stem}-{number}"
        self.stems.add(stem.casefold())
        return stem


def _unmasked_panels(
    photos: Support, colours: dict[str, str], most: int = 8
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield the first examples without masks; of a box, the mask that GrabCut made of it."""
    for picture, label in list(zip(photos.images, photos.labels, strict=True))[:most]:
        image, corner = read(whole(picture)), box(picture)
        found = {} if corner is None else {label: box_mask(image, corner).astype(np.int32)}
        yield f"example: {label}", overlay(image, found, colours, 2 * CELL)


def _objects(answer: Segmentation) -> tuple[FoundObject, ...]:
    """Return the objects one after the other: a thousand masks at once would not fit."""
    objects = (
        FoundObject(region.label, region.instances == number, region.score)
        for region in answer
        if region.instances is not None
        for number in range(1, region.objects + 1)
    )
    return cast("tuple[FoundObject, ...]", objects)


def _seen_from(folder: Path, path: Path) -> str:
    """Return a path as annotations in `folder` are to name it."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive
        return path.resolve().as_posix()


def _slug(label: str) -> str:
    return re.sub(r"[^\w.-]+", "_", label)
