"""``handful demo``: real images that come with the package, and a report of what was answered."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from PIL import Image

from handful.cli.common import Device, Json, Model, emit
from handful.data.manifest import Row
from handful.data.pictures import Cutout
from handful.data.progress import track
from handful.data.samples import MaskSample, ObjectSample, Sample, cells, nuclei, omniglot
from handful.explain import Explainer
from handful.files import replacing
from handful.find import Finder, Index
from handful.images import clip_box, cut_object, read, size
from handful.recognize import Recognizer
from handful.report.explanation import section, write_pictures
from handful.report.matches import MatchSheet
from handful.report.objects import Objects
from handful.report.page import Page
from handful.report.recognition import Recognition
from handful.report.segmentation import Segmented
from handful.segment import Segmenter

LEAD = "Real images that come with the package, of classes that no model here has learned from."


def demo(*, out: Path, model: Model = "auto", device: Device = "auto", json: Json = False) -> None:
    """Name, count, segment, find and explain real pictures from a few examples.

    Parameters
    ----------
    out
        Write the report, its pictures and its tables into this directory.
    """
    start = time.perf_counter()
    recognition = _recognize(omniglot(), model, device)
    objects = _count(cells(), model, device)
    report = out / "report.html"
    page = Page("handful: a demonstration", LEAD)
    page.add(recognition.section("Recognize characters")).add(objects.section("Count cells"))
    segmented = _segment(nuclei(), device)
    page.add(segmented.section("Segment nuclei"))
    found = _find(cells(), device, out)
    page.add(found.section("Find cells like these"))
    explained = _explain(cells(), model, device, out, page)
    page.write(report)
    counts = recognition.counts() | _written(recognition, out, "recognition")
    counts["cells"] = objects.counts() | _written(objects, out, "cells")
    seconds = round(time.perf_counter() - start, 2)
    value = {"report": str(report), "seconds": seconds, "recognize": counts}
    segmented.draw(out / "nuclei.png")
    value["segment"] = segmented.counts() | {"picture": str(out / "nuclei.png")}
    found.draw(out / "matches.png")
    value["find"] = _found(found) | {"picture": str(out / "matches.png")}
    value["explain"] = explained
    emit(value, json, _text(value))


def _recognize(sample: Sample, model: str, device: str) -> Recognition:
    support, paths = sample.support, [query.path for query in sample.queries]
    recognizer = Recognizer(model=model, device=device).fit(support)
    rival = Recognizer(model="nearest-neighbour", reject=None, device=device).fit(support)
    return Recognition(
        support,
        recognizer.predict(track(paths, "Recognizing", len(paths))),
        tuple(query.label for query in sample.queries),
        rival.predict(paths),
    )


def _count(sample: ObjectSample, model: str, device: str) -> Objects:
    rows = sample.queries
    recognizer = Recognizer(model=model, device=device).fit(sample.support)
    pictures = track([row.picture for row in rows], "Naming cells", len(rows))
    answers = recognizer.predict(pictures)
    return Objects(sample.support, answers, tuple(str(row.label) for row in rows))


def _segment(sample: MaskSample, device: str) -> Segmented:
    """Segment and count nuclei from one picture with all of its nuclei marked."""
    segmenter = Segmenter(device=device, split=True).fit(sample.support)
    photos = [sample.queries.photo(place) for place in range(len(sample.queries))]
    answers = segmenter.predict(track(photos, "Segmenting", len(photos)))
    return Segmented(sample.support, answers, sample.truth)


def _find(sample: ObjectSample, device: str, out: Path) -> MatchSheet:
    """Find white cells among all cells cut out of the photos, from three examples of them."""
    folder = out / "cells"
    for number, row in enumerate(sample.queries, 1):
        assert row.box is not None
        with replacing(folder / f"{number:03}-{row.label}.png") as part:
            Image.fromarray(cut_object(read(row.path), row.box)).save(part, "PNG")
    index = Index.build(folder, out / "cells.index", device=device)
    support = sample.support
    examples = [support.read(place) for place in support.by_class()["WBC"]]
    return MatchSheet(Finder(index).fit(examples).search(len(sample.by_label()["WBC"])), examples)


def _found(found: MatchSheet) -> dict[str, Any]:
    """Count the white cells among as many matches as there are white cells."""
    right = sum("-WBC" in Path(match.image).name for match in found.matches)
    return {
        "search": found.matches.search,
        "model": found.matches.model,
        "images": found.matches.images,
        "matches": len(found.matches),
        "right": right,
    }


def _explain(
    sample: ObjectSample, model: str, device: str, out: Path, page: Page
) -> dict[str, Any]:
    """Explain why a white cell is like another one, and unlike a red one."""
    rows = sample.by_label()
    # three cells that lie clear of others
    pictures = [_around(row) for row in (*rows["WBC"][1:3], rows["RBC"][2])]
    shown = model if model == "handful-base" else "auto"
    found = Explainer(model=shown, device=device).explain(*pictures)
    page.add(section(found, pictures, "Explain a likeness"))
    written = write_pictures(found, out / "explain", pictures, "cells")
    return found.to_json() | {"overlay": written["overlay"]}


def _around(row: Row) -> Cutout:
    """Return a cell with half of its size around it: what is marked must have an elsewhere."""
    assert row.box is not None
    x, y, width, height = row.box
    side = 1.5 * max(width, height)
    box = (x + (width - side) / 2, y + (height - side) / 2, side, side)
    return Cutout(row.path, clip_box(box, *size(row.path)))


def _written(found: Recognition | Objects, out: Path, name: str) -> dict[str, str]:
    """Write the picture and the answers, and say where."""
    picture, table = out / f"{name}.png", out / f"{name}.csv"
    found.draw(picture)
    found.answers.to_csv(table)
    return {"picture": str(picture), "table": str(table)}


def _text(value: dict[str, Any]) -> str:
    counts = value["recognize"]
    cells = counts["cells"]
    segmented, matched = value["segment"], value["find"]
    return "\n".join(
        [
            f"{counts['right']} of {counts['known']} characters named rightly from one example"
            f" each ({counts['model']}; the nearest neighbour of pixels:"
            f" {counts['nearest_neighbour_right']})",
            f"{counts['strangers_rejected']} of {counts['strangers']} strangers answered"
            ' "none of these"',
            f"{cells['right']} of {cells['objects']} cells named rightly from three examples of"
            f" each kind ({cells['model']})",
            f"{segmented['counted']} nuclei counted, truly {segmented['objects']}, masks at IoU"
            f" {segmented['iou']:.2f}, from one picture with a mask ({segmented['model']})",
            f"{matched['right']} of the first {matched['matches']} cells that three white ones find"
            f" among {matched['images']} are white",
            f"why one white cell is like another: {value['explain']['overlay']}",
            f"{value['report']}  ({value['seconds']:.1f} s)",
        ]
    )
