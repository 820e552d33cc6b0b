"""MegaDetector's JSON: what a detector of animals found in the photos of camera traps.

Each image has a list of detections: a category (animal, person, vehicle), a confidence, and a box
as shares of the picture (x, y, width, height, from the top left corner). A detection may carry
the classes that a second model gave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handful.data.rows import Manifest, Row, clean, locate, settle
from handful.errors import InputError
from handful.images import Box

CONFIDENCE = 0.2
"""MegaDetector's usual threshold: detections below it are left out."""


def read_megadetector(
    path: Path, value: Mapping[str, Any], confidence: float = CONFIDENCE
) -> Manifest:
    """Turn MegaDetector's detections into rows.

    Parameters
    ----------
    path : Path
        The file; pictures are relative to its folder.
    value : mapping
        What it holds.
    confidence : float
        Detections below this are left out.

    Returns
    -------
    Manifest
        A row for each detection, labelled by its best class where it has one, else by its
        category. Pictures without a detection, and those that the detector could not read, are
        among its ``skipped``.

    Raises
    ------
    InputError
        The file is not laid out as MegaDetector's.

    Examples
    --------
    >>> found = {"file": "a.jpg", "detections": [{"category": "1", "conf": 0.1, "bbox": [0] * 4}]}
    >>> manifest = read_megadetector(Path("md.json"), {"images": [found]})
    >>> manifest.skipped
    (('a.jpg', 'no detection of 0.2 or surer'),)
    """
    rows: list[Row] = []
    skipped: list[tuple[str, str]] = []
    for number, image in enumerate(value["images"]):
        try:
            file = locate(str(image["file"]), [path.parent])
            if image.get("failure"):
                skipped.append((str(file), f"the detector failed: {image['failure']}"))
                continue
            found = [
                Row(file, _label(value, one), _box(one), where=f"images[{number}], detection {i}")
                for i, one in enumerate(image.get("detections") or ())
                if float(one["conf"]) >= confidence
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(
                f"{path}: images[{number}] is not laid out as MegaDetector's ({why}); export again"
            ) from None
        rows += found
        if not found:
            skipped.append((str(file), f"no detection of {confidence:g} or surer"))
    return settle(path, rows, skipped, share=True)


def _label(value: Mapping[str, Any], detection: Mapping[str, Any]) -> str | None:
    classes = detection.get("classifications")
    if classes:
        best = str(max(classes, key=lambda pair: float(pair[1]))[0])
        return clean(str(value.get("classification_categories", {}).get(best, best)))
    category = str(detection["category"])
    return clean(str(value.get("detection_categories", {}).get(category, category)))


def _box(detection: Mapping[str, Any]) -> Box:
    x, y, width, height = map(float, detection["bbox"])
    return x, y, width, height
