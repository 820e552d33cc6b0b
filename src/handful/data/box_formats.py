"""Boxes in the layouts of COCO (one JSON) and of PASCAL VOC (an XML beside every picture)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from handful.data.rows import Manifest, Row, clean, locate, settle
from handful.errors import InputError
from handful.images import is_clutter, list_images, natural_key


def read_coco(path: Path, value: Mapping[str, Any]) -> Manifest:
    """Turn the boxes of a COCO JSON into rows; crowds are left out.

    Parameters
    ----------
    path : Path
        The file. Pictures are looked for in its folder, in ``images`` there, and in the folder
        above, also by the name of the split (``annotations/instances_val2017.json``: ``val2017``).
    value : mapping
        What it holds.

    Raises
    ------
    InputError
        The file is not laid out as COCO's.
    """
    above, split = path.parent.parent, path.stem.rpartition("_")[2]
    folders = [path.parent, path.parent / "images", above, above / "images", above / split]
    rows: list[Row] = []
    what = ""
    try:
        names = {}
        for number, category in enumerate(value["categories"]):
            what = f"categories[{number}]"
            names[category["id"]] = clean(str(category["name"]))
        files, boxed = {}, set()
        for number, image in enumerate(value["images"]):
            what = f"images[{number}]"
            files[image["id"]] = locate(str(image["file_name"]), folders)
        for number, one in enumerate(value["annotations"]):
            what = f"annotations[{number}]"
            boxed.add(one["image_id"])
            if one.get("iscrowd"):
                continue
            x, y, width, height = map(float, one["bbox"])
            label, file = names[one["category_id"]], files[one["image_id"]]
            rows.append(Row(file, label, (x, y, width, height), where=what))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{path}: {what or 'it'} is not laid out as COCO's ({why}); export it again"
        ) from None
    bare = [(str(file), "no annotation") for key, file in files.items() if key not in boxed]
    return settle(path, rows, bare)


def is_voc_folder(path: Path) -> bool:
    """Say whether a folder holds PASCAL VOC's XML files, itself or in ``Annotations``."""
    return path.is_dir() and any(_is_annotation(file) for file in _xml_files(path)[:3])


def _is_annotation(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return b"<annotation" in opened.read(1024)
    except OSError:
        return False


def read_voc(path: Path) -> Manifest:
    """Turn PASCAL VOC's boxes into rows.

    Parameters
    ----------
    path : Path
        An XML file, a folder of them, or the folder above ``Annotations``. Pictures are looked
        for in the same folder and, in the one above, in ``JPEGImages`` and ``images``.

    Returns
    -------
    Manifest
        Corners are pixels counted from 1, both inside the box, as in PASCAL VOC. Files that
        cannot be parsed, pictures without an object, and pictures in the folder itself that no
        file tells of are among its ``skipped``.

    Raises
    ------
    InputError
        No such file or folder.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    rows: list[Row] = []
    skipped: list[tuple[str, str]] = []
    for file in _xml_files(path) if path.is_dir() else [path]:
        try:
            found = _objects(file)
        except (ElementTree.ParseError, ValueError, OSError) as error:
            skipped.append((str(file), f"not laid out as PASCAL VOC's ({error})"))
            continue
        rows += found
        if not found:
            skipped.append((str(file), "no object"))
    if path.is_dir():
        told = {row.path for row in rows} | {Path(file).with_suffix("") for file, _ in skipped}
        bare = [p for p in list_images(path) if not {p, p.with_suffix("")} & told]
        skipped += [(str(picture), "no annotation") for picture in bare]
    return settle(path, rows, skipped)


def _xml_files(folder: Path) -> list[Path]:
    inside = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
    found = [file for file in inside.glob("*.xml") if not is_clutter(file.name)]
    return sorted(found, key=lambda file: (natural_key(file.name), file.name))


def _objects(file: Path) -> list[Row]:
    root = ElementTree.parse(file).getroot()
    above = file.parent.parent
    folders = [file.parent, above / "JPEGImages", above / "images", above]
    picture = locate(_text(root, "filename"), folders)
    rows = []
    for number, one in enumerate(root.iter("object")):
        names = ("xmin", "ymin", "xmax", "ymax")
        left, top, right, bottom = (float(_text(one, f"bndbox/{name}")) for name in names)
        box = (left - 1, top - 1, right - left + 1, bottom - top + 1)
        where = f"{file.name}, object {number}"
        rows.append(Row(picture, clean(_text(one, "name")), box, where=where))
    return rows


def _text(element: ElementTree.Element, name: str) -> str:
    text = element.findtext(name)
    if not text:
        raise ValueError(f"no {name}")
    return text
