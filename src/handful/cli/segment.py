"""``handful segment``: masks of people's pictures, from a folder of examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from handful import zoo
from handful.cli.common import Device, Json, Model, columns, emit, gather_pictures, note
from handful.cli.mask_writer import Examples, Format, MaskWriter
from handful.data.annotations.mask import OBJECT
from handful.data.pictures import Cutout, name, whole
from handful.data.progress import track
from handful.data.segmentation.folder import read_pairs
from handful.data.segmentation.support import read_examples
from handful.data.support import Support
from handful.errors import InputError
from handful.segment import Segmenter

Box = Annotated[tuple[float, float, float, float] | None, Parameter(negative=())]


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
    """Find the pixels of things in pictures, from one or a few examples.

    Examples with masks teach best; of boxes GrabCut makes masks; class folders without masks do,
    and then similarity attention finds where a picture is like the examples of a class.

    Parameters
    ----------
    query
        Pictures to segment, folders of them, or manifests.
    out
        The folder for the masks (PNG, 0 and 255), overlays, and a sheet that shows them together.
    support
        Examples: a folder with images/ and masks/, with LabelMe files, in VOC's layout, or with a
        COCO file; or that file. Without masks: a manifest (CSV), COCO's file or VOC's folder with
        boxes; or one sub-folder for each class. With --box, one picture. A saved directory given
        as --model needs none.
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
    if photos is not None:
        segmenter.fit(photos)
    if save is not None:
        segmenter.save(save)
    pictures, missing = gather_pictures(query)
    paths = list(dict.fromkeys(Path(str(name(whole(picture)))) for picture in pictures))
    run = MaskWriter(segmenter, out, format, skipped=list(missing))
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


_Given = tuple[Path | None, Path | None, Path | None]


def _segmenter(
    given: _Given,
    classes: Sequence[str] | None,
    box: tuple[float, float, float, float] | None,
    model: str,
    weights: tuple[Path | None, Path | None],
    device: str,
) -> tuple[Segmenter, Examples]:
    """Return the segmenter, and what to fit it to: None where it is fitted already."""
    support, images, masks = given
    if zoo.is_fitted(model):
        if any(path is not None for path in given):
            raise InputError(f"{model}: has its own support; leave out --support and --images")
        return Segmenter.load(model, device=device), None
    segmenter = Segmenter(model, device, weights=weights[0], backbone_weights=weights[1])
    if support is not None and images is None and masks is None:
        if box is not None:
            one = Support.from_arrays([Cutout(support, box)], [OBJECT], min_classes=1)
            return segmenter, one
        return segmenter, read_examples(support, classes)
    if support is None and images is not None and masks is not None:
        return segmenter, read_pairs(images, masks, classes)
    raise InputError(
        "no examples: give --support DIR, or --images DIR --masks DIR, or a saved directory as"
        " --model"
    )


def _reject(text: str) -> float | str | None:
    if text in ("auto", "none"):
        return None if text == "none" else text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--reject {text}: give auto, none or a number from 0 to 1") from None


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
