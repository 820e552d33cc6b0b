"""A manifest: the pictures that a person has, their labels, boxes and groups, in one file.

A CSV has a line for each picture, or for each object of a picture. Its first line names the
columns: ``path`` (relative to the folder of the file) and, where known, ``label``; ``x``, ``y``,
``width`` and ``height`` of a box in pixels from the top left corner of the upright picture;
``group``, what must not be split between support and test. Other columns are ignored; commas,
semicolons and tabs part the cells::

    path,label,x,y,width,height,group
    camera1/0017.jpg,lynx,211,90,340,215,burst 4
    camera1/0018.jpg,,150,70,330,220,burst 4

MegaDetector's JSON (:mod:`handful.data.megadetector`), COCO's JSON and PASCAL VOC's XML
(:mod:`handful.data.box_formats`) are read into the same rows.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handful.data.box_formats import is_voc_folder, read_coco, read_voc
from handful.data.megadetector import CONFIDENCE, read_megadetector
from handful.data.rows import Manifest, Row, clean, locate, settle
from handful.errors import InputError
from handful.images import Box

__all__ = ["Manifest", "Row", "is_manifest", "read_manifest"]

_BOX = ("x", "y", "width", "height")
_COLUMNS = ("path", "label", *_BOX, "group")


def is_manifest(path: str | os.PathLike[str]) -> bool:
    """Say whether `read_manifest` is to read this, by its name: no picture, no plain folder.

    Examples
    --------
    >>> is_manifest("cells.CSV"), is_manifest("detections.json"), is_manifest("cell.jpg")
    (True, True, False)
    """
    path = Path(path)
    return is_voc_folder(path) or path.suffix.lower() in (".csv", ".tsv", ".json", ".xml")


def read_manifest(path: str | os.PathLike[str], confidence: float = CONFIDENCE) -> Manifest:
    r"""Read a manifest in any of its formats.

    Parameters
    ----------
    path : path-like
        A CSV, a JSON of MegaDetector or of COCO, an XML of PASCAL VOC or a folder of those.
    confidence : float
        MegaDetector's detections below this are left out.

    Returns
    -------
    Manifest
        Files that are missing and boxes outside their picture are listed in ``skipped``; a box
        that reaches over the edge is clipped.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, or holds what is no number (with its line).

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (60, 40)).save(folder / "a.png")
    >>> text = "path,label,x,y,width,height\na.png,cat,50,5,20,10\nb.png,dog,0,0,9,9\n"
    >>> _ = (folder / "pets.csv").write_text(text)
    >>> manifest = read_manifest(folder / "pets.csv")
    >>> manifest[0].label, manifest[0].box
    ('cat', (50.0, 5.0, 10.0, 10.0))
    >>> manifest.skipped[0][1]
    'no such file; check the path (line 3)'
    """
    path = Path(path)
    if is_voc_folder(path) or path.suffix.lower() == ".xml":
        return read_voc(path)
    text = _text(path)
    if path.suffix.lower() != ".json":
        return _from_csv(path, text)
    value = _json(path, text)
    if "annotations" in value:
        return read_coco(path, value)
    if "images" in value:
        return read_megadetector(path, value, confidence)
    raise InputError(
        f"{path}: neither MegaDetector's JSON nor COCO's ('images', and 'annotations' in COCO's)"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; save it as CSV UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a manifest that can be read") from None


def _json(path: Path, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: no JSON ({error}); export it again") from None
    return value if isinstance(value, dict) else {}


def _from_csv(path: Path, text: str) -> Manifest:
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[Row] = []
    columns: dict[str, int] | None = None
    width = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns, width = _columns(path, cells), len(cells)
                continue
            where = f"line {reader.line_num}"
            if any(cell.strip() for cell in cells[width:]):
                raise InputError(
                    f"{path}: {where}: more cells than columns; put a path with commas in quotes"
                )
            given = {
                name: cells[place].strip() if place < len(cells) else ""
                for name, place in columns.items()
            }
            rows.append(_row(path, given, where, delimiter == ";"))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}; save it as CSV again") from None
    if not rows:
        raise InputError(f"{path}: lists no picture; give a line for each below the column names")
    return settle(path, rows)


def _columns(path: Path, names: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, name in enumerate(name.strip().casefold() for name in names):
        if name in found:
            raise InputError(f"{path}: two columns {name!r}; keep one")
        if name in _COLUMNS:
            found[name] = place
    if "path" not in found:
        have = ", ".join(name.strip() for name in names if name.strip())
        raise InputError(f"{path}: no column 'path' among {have}; name it in the first line")
    missing = [name for name in _BOX if name not in found]
    if 0 < len(missing) < len(_BOX):
        raise InputError(f"{path}: no column {missing[0]!r}; a box is x, y, width and height")
    return found


def _row(path: Path, given: Mapping[str, str], where: str, decimal_comma: bool) -> Row:
    if not given["path"]:
        raise InputError(f"{path}: {where}: no path; name the picture")
    return Row(
        locate(given["path"], [path.parent]),
        clean(given.get("label")),
        _box(path, given, where, decimal_comma),
        clean(given.get("group")),
        where,
    )


def _box(path: Path, given: Mapping[str, str], where: str, decimal_comma: bool) -> Box | None:
    cells = [given.get(name, "") for name in _BOX]
    if not any(cells):
        return None
    numbers: list[float] = []
    for name, cell in zip(_BOX, cells, strict=True):
        try:
            numbers.append(float(cell.replace(",", ".") if decimal_comma else cell))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise InputError(f"{path}: {where}: {name} is {cell!r}; give a number of pixels")
    x, y, width, height = numbers
    if width <= 0 or height <= 0:
        raise InputError(f"{path}: {where}: a box of {width:g} x {height:g}; both must be above 0")
    return x, y, width, height
