"""LabelMe JSON: one file beside each image, with the shapes that a person drew."""

from __future__ import annotations

import base64
import binascii
import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handful.data.annotations.coco import load_json
from handful.data.annotations.objects import FoundImage
from handful.data.annotations.polygons import outline, polygon
from handful.data.annotations.shapes import AnnotatedImage, Shape
from handful.errors import InputError
from handful.files import write_json
from handful.images import read_mask

_VERSION = "5.0.1"  # of LabelMe's format, which refuses files without one
_CIRCLE = 128  # corners of a circle


def is_labelme(value: Any) -> bool:
    """Say whether parsed JSON is a LabelMe file."""
    return isinstance(value, dict) and isinstance(value.get("shapes"), list)


def read_labelme(path: str | os.PathLike[str]) -> AnnotatedImage:
    """Read the objects of one image.

    Polygons, rectangles, circles and masks are objects; lines and points have no inside and are
    passed over.

    Raises
    ------
    InputError
        The file cannot be read, is no LabelMe file, or holds a shape that cannot be drawn.
    """
    value = load_json(path)
    if not is_labelme(value):
        raise InputError(f"{path}: no LabelMe file; it needs shapes")
    try:
        size = (int(value["imageHeight"]), int(value["imageWidth"]))
        shapes = [_shape(shape, path) for shape in value["shapes"]]
        name = str(value["imagePath"]).replace("\\", "/")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: damaged ({type(error).__name__}: {error}); save it again"
        ) from error
    return AnnotatedImage(name, size, tuple(s for s in shapes if s is not None), str(path))


def _shape(value: dict[str, Any], path: str | os.PathLike[str]) -> Shape | None:
    label, points = str(value["label"]), value["points"]
    kind = value.get("shape_type") or "polygon"
    where = f"{path}: {label!r}"
    if kind == "polygon":
        return Shape(label, polygons=(polygon(points, where),))
    if kind == "rectangle":
        (x, y), (right, below) = points[0], points[-1]
        corners = [(x, y), (right, y), (right, below), (x, below)]
        return Shape(label, polygons=(polygon(corners, where),))
    if kind == "circle":
        (x, y), (ex, ey) = points
        turn = np.linspace(0, 2 * math.pi, _CIRCLE, endpoint=False)
        radius = math.hypot(ex - x, ey - y)
        edge = np.column_stack([x + radius * np.cos(turn), y + radius * np.sin(turn)])
        return Shape(label, polygons=(edge,))
    if kind == "mask":
        left, top = (round(v) for v in points[0])
        return Shape(label, pixels=_pixels(value["mask"], where), corner=(left, top))
    return None


def _pixels(text: str, where: str) -> NDArray[np.bool_]:
    try:
        with Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",)) as picture:
            return np.asarray(read_mask(picture) != 0)
    except (binascii.Error, OSError, InputError) as error:
        raise InputError(f"{where}: its mask is no PNG ({error}); save it again") from error


def write_labelme(path: str | os.PathLike[str], image: FoundImage) -> None:
    """Write the objects of one picture as LabelMe reads them: polygons.

    An object in several parts is several polygons that share a ``group_id``.

    Parameters
    ----------
    path : path-like
        The ``.json`` file; `FoundImage.path` says where the picture lies, seen from its folder.
    image : FoundImage
        The picture.
    """
    shapes = []
    for number, found in enumerate(image.objects, 1):
        parts = outline(found.mask)
        shapes += [
            {
                "label": found.label,
                "points": part.tolist(),
                "group_id": number if len(parts) > 1 else None,
                "shape_type": "polygon",
                "flags": {},
            }
            for part in parts
        ]
    value: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": Path(image.path).as_posix(),
        "imageData": None,
        "imageHeight": image.size[0],
        "imageWidth": image.size[1],
    }
    write_json(path, value)
