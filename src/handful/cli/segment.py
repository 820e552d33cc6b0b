"""``handful segment``: masks of people's pictures, from a folder of examples with masks."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from handful import zoo
from handful.answers import Segmentation
from handful.cli.common import Device, Json, Model, columns, emit, gather_pictures, note
from handful.data.annotations.classes import numbered, read_classes
from handful.data.annotations.coco import write_coco
from handful.data.annotations.labelme import write_labelme
from handful.data.annotations.mask import OBJECT, write_labels, write_mask
from handful.data.annotations.objects import FoundImage, FoundObject, write_table
from handful.data.pictures import name, whole
from handful.data.progress import track
from handful.data.segmentation_folder import read_folder
from handful.data.segmentation_set import SegmentationSet, from_label_maps
from handful.errors import InputError
from handful.images import list_images, read, resize
from handful.methods.refining import box_mask
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
Box = Annotated[tuple[float, float, float, float] | None, Parameter(negative=())]

SHEET = 24
"""Queries that the sheet shows at most."""


def segment(
    *,
    query: Annotated[list[Path], Parameter(consume_multiple=True, negative=())],
    out: Path,
    support: Path | None = None,
    images: Path | None = None,
    masks: Path | None = None,
    classes: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    box: Box = None,
    format: Format = "png",
    split: Annotated[bool, Parameter(negative=())] = False,
    pixel_size: float | None = None,
    refine: Literal["edges", "grabcut", "none"] | None = None,
    reject: str | None = None,
    save: Path | None = None,
    model: Model = "auto",
    weights: Path | None = None,
    backbone_weights: Path | None = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find the pixels of things in pictures, from one or a few examples with masks.

    Parameters
    ----------
    query
        Pictures to segment, folders of them, or manifests.
    out
        The folder for the masks (PNG, 0 and 255), overlays, and a sheet that shows them together.
    support
        Examples: a folder with images/ and masks/, with LabelMe files, in VOC's layout, or with a
        COCO file; or that file. With --box, one picture. A saved directory given as --model needs
        none.
    images, masks
        Folders of pictures and of masks of the same names, in the place of --support.
    classes
        Names of the values 1, 2, ... of the masks; without it, and without classes.txt, any value
        but 0 is the object.
    box
        X Y WIDTH HEIGHT in pixels of the one picture given as --support: what is inside is the
        object, and GrabCut makes its mask.
    format
        What is written beside the masks: labels, a 16-bit TIFF per picture and class with the
        number of the object in each pixel; coco, annotations.json; labelme, a JSON per picture;
        csv, objects.csv with one row per object.
    split
        Count objects that touch one by one.
    pixel_size
        Side of a pixel in micrometres: objects.csv says areas and places in them too.
    refine
        How masks are drawn to edges: edges (a guided filter, the default), grabcut, or none.
    reject
        Answer a class as absent below this score, a number from 0 to 1; none: never; auto: the
        model's own threshold (the default).
    save
        Write the fitted segmenter into this directory, to be given as --model later.
    weights, backbone_weights
        Weights files of the model and of the network that it stands on.
    """
    segmenter, photos = _segmenter(
        (support, images, masks), classes, box, model, (weights, backbone_weights), device
    )
    options: dict[str, Any] = {"split": True} if split else {}
    if refine is not None:
        options["refine"] = None if refine == "none" else refine
    if reject is not None:
        options["reject"] = _reject(reject)
    segmenter.set_params(**options)
    if isinstance(photos, SegmentationSet):
        segmenter.fit(photos)
    elif photos is not None:
        segmenter.fit(*photos)
    if save is not None:
        segmenter.save(save)
    pictures, missing = gather_pictures(query)
    paths = list(dict.fromkeys(Path(str(name(whole(picture)))) for picture in pictures))
    run = _Run(segmenter, out, format, skipped=list(missing))
    run.write(track(paths, "Segmenting", len(paths)), pixel_size)
    if not run.results:
        raise InputError(f"no query can be read: {_line(*run.skipped[0])}")
    sheet = run.sheet(photos)
    value: dict[str, Any] = {
        "model": segmenter.method_.name,
        "backbone": segmenter.method_.backbone,
        "threshold": segmenter.threshold_,
        "chosen": segmenter.chosen_,
        "results": run.results,
        "sheet": str(sheet),
        "written": [str(path) for path in run.written],
        "skipped": [*map(list, (*segmenter.skipped_, *run.skipped))],
        "warnings": [*(segmenter.check_.warnings if segmenter.check_ else ()), *run.warnings],
    }
    emit(value, json, _text(value))
    for skipped in value["skipped"]:
        note(f"skipped: {_line(*skipped)}")
    for warning in value["warnings"]:
        note(f"look at {warning}")


@dataclass
class _Run:
    """Segments picture after picture and writes each, so that only one is in memory."""

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

    def sheet(self, photos: SegmentationSet | tuple[Path, NDArray[np.uint8]] | None) -> Path:
        """Write the examples, where they were given, and the answers as one picture."""
        colours = colours_of(self.segmenter.classes_.tolist())
        examples = []
        if isinstance(photos, SegmentationSet):
            examples = example_panels(photos, colours)
        elif photos is not None:
            mask = {OBJECT: photos[1].astype(np.int32)}
            examples = [("example: object", overlay(read(photos[0]), mask, colours, 2 * CELL))]
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
        found = FoundImage(_seen_from(self.out, path), answer.size, _objects(answer))
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


def _objects(answer: Segmentation) -> tuple[FoundObject, ...]:
    """Return the objects one after the other: a thousand masks at once would not fit."""
    objects = (
        FoundObject(region.label, region.instances == number, region.score)
        for region in answer
        if region.instances is not None
        for number in range(1, region.objects + 1)
    )
    return cast("tuple[FoundObject, ...]", objects)


_Given = tuple[Path | None, Path | None, Path | None]
_Photos = SegmentationSet | tuple[Path, NDArray[np.uint8]] | None


def _segmenter(
    given: _Given,
    classes: Sequence[str] | None,
    box: tuple[float, float, float, float] | None,
    model: str,
    weights: tuple[Path | None, Path | None],
    device: str,
) -> tuple[Segmenter, _Photos]:
    """Return the segmenter, and what to fit it to: None where it is fitted already."""
    support, images, masks = given
    if zoo.is_fitted(model):
        if any(path is not None for path in given):
            raise InputError(f"{model}: has its own support; leave out --support and --images")
        return Segmenter.load(model, device=device), None
    segmenter = Segmenter(model, device, weights=weights[0], backbone_weights=weights[1])
    if support is not None and images is None and masks is None:
        if box is not None:
            return segmenter, (support, box_mask(read(support), box))
        return segmenter, read_folder(support, classes)
    if support is None and images is not None and masks is not None:
        return segmenter, _pairs(images, masks, classes)
    raise InputError(
        "no examples: give --support DIR, or --images DIR --masks DIR, or a saved directory as"
        " --model"
    )


def _pairs(images: Path, masks: Path, classes: Sequence[str] | None) -> SegmentationSet:
    """Index two folders whose files have the same names."""
    by_stem = {unicodedata.normalize("NFC", path.stem): path for path in list_images(masks)}
    photos = list_images(images)
    found = [(photo, by_stem.get(unicodedata.normalize("NFC", photo.stem))) for photo in photos]
    pairs = [(photo, mask) for photo, mask in found if mask is not None]
    if not pairs:
        raise InputError(f"{masks}: no mask has the name of a picture of {images}; name them alike")
    listed = masks / "classes.txt"
    known: dict[str, int | None] = {OBJECT: None}
    if listed.is_file():
        known = {**read_classes(listed)}
    elif classes:
        known = {**numbered(classes)}
    skipped = [(photo.name, f"no mask of this name in {masks}") for photo, m in found if m is None]
    return from_label_maps(images.name, images, pairs, known, skipped=skipped)


def _reject(text: str) -> float | str | None:
    if text in ("auto", "none"):
        return None if text == "none" else text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--reject {text}: give auto, none or a number from 0 to 1") from None


def _seen_from(folder: Path, path: Path) -> str:
    """Return a path as annotations in `folder` are to name it."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive
        return path.resolve().as_posix()


def _slug(label: str) -> str:
    return re.sub(r"[^\w.-]+", "_", label)


def _line(path: str, why: str) -> str:
    return why if why.startswith(path) else f"{path}: {why}"


def _text(value: dict[str, Any]) -> str:
    rows = [
        [
            result["image"],
            found["label"],
            f"{found['objects']} objects, {100 * found['area']:.1f} %"
            if found["present"]
            else "not there",
            f"{found['score']:.3f}",
        ]
        for result in value["results"]
        for found in result["classes"]
    ]
    limit = value["threshold"]
    absent = "never" if limit is None else f"below {limit:.3f}"
    about = f"{value['model']} ({value['chosen']}); absent: {absent}; see {value['sheet']}"
    return f"{columns(rows)}\n{about}"
