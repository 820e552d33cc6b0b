"""PASCAL VOC's XML: boxes with names, one file for each image."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from handful.data.annotations.shapes import AnnotatedImage, Shape
from handful.errors import InputError

_LIMIT = 16 * 2**20  # a file of boxes has kilobytes; entities could make one grow without end


def read_voc_boxes(path: str | os.PathLike[str], *, difficult: bool = True) -> AnnotatedImage:
    """Read the boxes of one image.

    Parameters
    ----------
    path : path-like
        ``Annotations/X.xml``.
    difficult : bool
        Whether objects marked as difficult are taken.

    Returns
    -------
    AnnotatedImage
        Shapes with a ``box`` and no mask. VOC counts pixels from 1 and names the last one
        inside; here a box begins at 0 and ends behind its last pixel.

    Raises
    ------
    InputError
        The file cannot be read, is no such XML, or a box has no area or lies outside.
    """
    root = _root(Path(path))
    try:
        size = root.find("size")
        if root.tag != "annotation" or size is None:
            raise InputError(f"{path}: no PASCAL VOC file; it needs an annotation with a size")
        height, width = int(_text(size, "height")), int(_text(size, "width"))
        shapes = []
        for found in root.iter("object"):
            if not difficult and (found.findtext("difficult") or "0").strip() == "1":
                continue
            box = found.find("bndbox")
            if box is None:
                raise InputError(f"{path}: an object has no bndbox; export it again")
            left, top, right, below = (
                float(_text(box, key)) for key in ("xmin", "ymin", "xmax", "ymax")
            )
            label = _text(found, "name")
            if (
                right < left
                or below < top
                or left > width
                or top > height
                or right < 1
                or below < 1
            ):
                raise InputError(
                    f"{path}: the box of {label!r} lies outside the {width} x {height} image; draw"
                    f" it again"
                )
            shapes.append(Shape(label, box=(left - 1, top - 1, right - left + 1, below - top + 1)))
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); export it again") from error
    name = root.findtext("filename") or f"{Path(path).stem}.jpg"
    return AnnotatedImage(name.strip(), (height, width), tuple(shapes), str(path))


def _root(path: Path) -> ElementTree.Element:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a PASCAL VOC file") from error
    if len(text) > _LIMIT or b"<!ENTITY" in text:
        raise InputError(
            f"{path}: too large, or with entities, for a file of boxes; export it again"
        )
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: not XML ({error}); export it again") from error


def _text(element: ElementTree.Element, key: str) -> str:
    text = element.findtext(key)
    if text is None or not text.strip():
        raise ValueError(f"no {key}")
    return text.strip()
