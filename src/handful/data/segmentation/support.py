"""What a class is taught by, in whichever form it is kept: masks, boxes, or labels alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handful.data.annotations.coco import load_json
from handful.data.box_formats import is_voc_folder
from handful.data.segmentation.folder import read_folder
from handful.data.segmentation.photos import SegmentationSet
from handful.data.support import Support
from handful.errors import InputError
from handful.images import is_clutter, list_images

_TABLES = (".csv", ".tsv", ".xml")


def read_examples(
    root: str | os.PathLike[str], classes: Sequence[str] | None = None
) -> SegmentationSet | Support:
    """Read examples of a segmentation, in the first of these forms that is there.

    - a manifest (:mod:`handful.data.manifest`), COCO's JSON or VOC's XML with boxes and no masks;
    - photos with masks, as :func:`handful.data.segmentation.folder.read_folder` reads them;
    - one sub-folder for each class, without masks; one class is enough.

    Parameters
    ----------
    root : path-like
        The folder or file.
    classes : sequence of str, optional
        Names of the values of masks.

    Returns
    -------
    SegmentationSet or Support
        A set where there are masks; a support of boxes, or of labels alone, where there are none.

    Raises
    ------
    InputError
        None of these is there, or a file in it is missing or damaged.
    """
    base = Path(root)
    if not base.exists():
        raise InputError(f"{base}: no such folder or file; give one with examples")
    if base.is_file():
        boxes = base.suffix.lower() in _TABLES or _has_boxes_alone(base)
        return Support.from_manifest(base, min_classes=1) if boxes else read_folder(base, classes)
    if _has_masks(base):
        return read_folder(base, classes)
    if is_voc_folder(base):
        return Support.from_manifest(base, min_classes=1)
    files = [path for path in base.rglob("*.json") if not is_clutter(path.name)]
    if len(files) == 1 and _has_boxes_alone(files[0]):
        return Support.from_manifest(files[0], min_classes=1)
    # images/ without masks/ is no class of that name: the masks are missing
    if not files and not (base / "images").is_dir() and _class_folders(base):
        return Support.from_folder(base, min_classes=1)
    return read_folder(base, classes)


def _has_masks(base: Path) -> bool:
    voc = ("SegmentationClass", "SegmentationClassAug")
    pairs = (base / "images").is_dir() and any((base / n).is_dir() for n in ("masks", "labels"))
    return pairs or any((base / name).is_dir() for name in voc)


def _has_boxes_alone(path: Path) -> bool:
    """Say whether a JSON names boxes of objects, COCO's or MegaDetector's, and no mask."""
    if path.suffix.lower() != ".json":
        return False
    value = load_json(path)
    if not isinstance(value, dict) or "images" not in value:
        return False
    marked: Any = value.get("annotations", [])
    return not any(isinstance(one, dict) and one.get("segmentation") for one in marked)


def _class_folders(base: Path) -> list[Path]:
    folders = [path for path in base.iterdir() if path.is_dir() and not is_clutter(path.name)]
    return [folder for folder in folders if list_images(folder)]
