"""COCO JSON: objects of many images in one file, by polygons or run lengths.

T. Lin et al., "Microsoft COCO: common objects in context", ECCV 2014, and the format published
with it. Crowds (``iscrowd``) stand for uncounted objects and are left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.annotations import runs
from handful.data.annotations.objects import FoundImage, FoundObject
from handful.data.annotations.polygons import outline, polygon
from handful.data.annotations.shapes import AnnotatedImage, Shape
from handful.errors import InputError
from handful.files import write_json


@dataclass(frozen=True, eq=False)
class CocoFile:
    """What a COCO file holds.

    Attributes
    ----------
    images : tuple of AnnotatedImage
        In the file's order; images without an object too.
    labels : tuple of str
        The categories, ordered by their numbers.
    """

    images: tuple[AnnotatedImage, ...]
    labels: tuple[str, ...]


def read_coco(path: str | os.PathLike[str]) -> CocoFile:
    """Read the images and objects of a COCO file.

    Raises
    ------
    InputError
        The file cannot be read, is no COCO file, or names a category or an image that it does
        not describe.
    """
    value = load_json(path)
    if not isinstance(value, dict) or not {"images", "annotations", "categories"} <= value.keys():
        raise InputError(f"{path}: no COCO file; it needs images, annotations and categories")
    try:
        return _parse(value, path)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: damaged ({type(error).__name__}: {error}); export it again"
        ) from error


def load_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file of annotations.

    Raises
    ------
    InputError
        The file is missing or is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a file of annotations") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); export it again") from error


def _parse(value: dict[str, Any], path: str | os.PathLike[str]) -> CocoFile:
    categories = {int(c["id"]): str(c["name"]) for c in value["categories"]}
    sizes = {i["id"]: (int(i["height"]), int(i["width"])) for i in value["images"]}
    shapes: dict[Any, list[Shape]] = {image: [] for image in sizes}
    for annotation in value["annotations"]:
        where = f"{path}: annotation {annotation.get('id', '')}"
        if annotation["image_id"] not in shapes:
            raise InputError(
                f"{where}: no image {annotation['image_id']} in the file; export again"
            )
        label = categories.get(annotation["category_id"])
        if label is None:
            raise InputError(
                f"{where}: no category {annotation['category_id']} in the file; add its name"
            )
        if annotation.get("iscrowd"):
            continue
        shapes[annotation["image_id"]].append(_shape(annotation, label, where))
    images = tuple(
        AnnotatedImage(str(i["file_name"]), sizes[i["id"]], tuple(shapes[i["id"]]), str(path))
        for i in value["images"]
    )
    return CocoFile(images, tuple(categories[number] for number in sorted(categories)))


def _shape(annotation: dict[str, Any], label: str, where: str) -> Shape:
    box = annotation.get("bbox")
    given = tuple(float(v) for v in box) if box and len(box) == 4 else None
    area = (given[0], given[1], given[2], given[3]) if given else None
    marked = annotation.get("segmentation")
    if isinstance(marked, dict):
        counts, size = marked["counts"], marked["size"]
        return Shape(
            label,
            runs=counts if isinstance(counts, str) else tuple(int(c) for c in counts),
            runs_size=(int(size[0]), int(size[1])),
            box=area,
        )
    parts = tuple(polygon(part, where) for part in marked or ())
    return Shape(label, polygons=parts, box=area)


def write_coco(
    path: str | os.PathLike[str], images: Iterable[FoundImage], labels: Sequence[str] = ()
) -> None:
    """Write found objects as a COCO file.

    Polygons where they say all of an object, run lengths where it has holes: read again, both give
    the same pixels.

    Parameters
    ----------
    path : path-like
        The ``.json`` file.
    images : iterable of FoundImage
        The pictures.
    labels : sequence of str
        Categories to number first, from 1; others follow as they occur.
    """
    numbers = {label: number for number, label in enumerate(labels, 1)}
    described: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for place, image in enumerate(images, 1):
        height, width = image.size
        described.append({"id": place, "file_name": image.path, "width": width, "height": height})
        for found in image.objects:
            number = numbers.setdefault(found.label, len(numbers) + 1)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": place,
                    "category_id": number,
                    "segmentation": _segmentation(found),
                    "area": found.area,
                    "bbox": list(found.box),
                    "iscrowd": 0,
                    **({} if found.score is None else {"score": round(found.score, 6)}),
                }
            )
    categories = [{"id": number, "name": label} for label, number in numbers.items()]
    write_json(path, {"images": described, "annotations": annotations, "categories": categories})


def _segmentation(found: FoundObject) -> Any:
    left, top, width, height = found.box
    piece = found.mask[top : top + height, left : left + width]
    if _has_holes(piece):
        # programs draw a hole's cut in ways of their own; run lengths they read alike
        return {"size": list(found.mask.shape), "counts": runs.pack(runs.encode(found.mask))}
    return [(part + np.array([left, top])).ravel().tolist() for part in outline(piece)]


def _has_holes(piece: Any) -> bool:
    from scipy.ndimage import binary_fill_holes

    return bool((binary_fill_holes(piece) != piece).any())
