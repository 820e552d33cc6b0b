"""``handful demo``: real images that come with the package, and a report of what was answered."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from handful.cli.common import Device, Json, Model, emit
from handful.data.progress import track
from handful.data.samples import Sample, omniglot
from handful.recognize import Recognizer
from handful.report.page import Page
from handful.report.recognition import Recognition

LEAD = "Real images that come with the package, of classes that no model here has learned from."


def demo(*, out: Path, model: Model = "auto", device: Device = "auto", json: Json = False) -> None:
    """Recognize real characters from one example each, and write a report.

    Parameters
    ----------
    out
        Write the report and its picture into this directory.
    """
    start = time.perf_counter()
    recognition = _recognize(omniglot(), model, device)
    report, picture = out / "report.html", out / "recognition.png"
    Page("handful: a demonstration", LEAD).add(recognition.section()).write(report)
    recognition.draw(picture)
    recognition.answers.to_csv(out / "recognition.csv")
    counts = recognition.counts() | {"picture": str(picture)}
    seconds = round(time.perf_counter() - start, 2)
    value = {"report": str(report), "seconds": seconds, "recognize": counts}
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


def _text(value: dict[str, Any]) -> str:
    counts = value["recognize"]
    return "\n".join(
        [
            f"{counts['right']} of {counts['known']} characters named rightly from one example"
            f" each ({counts['model']}; the nearest neighbour of pixels:"
            f" {counts['nearest_neighbour_right']})",
            f"{counts['strangers_rejected']} of {counts['strangers']} strangers answered"
            ' "none of these"',
            f"{value['report']}  ({value['seconds']:.1f} s)",
        ]
    )
