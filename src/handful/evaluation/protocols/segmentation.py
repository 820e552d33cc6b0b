"""Few-shot segmentation: a class learned from a few masks, found in another photo.

Every method answers the same episodes through the door of `handful.methods.segmenter`. Photos and
masks are squashed to one square, and overlaps are counted there; or at the photo's own size, to
which the method's soft masks are then resized.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.segmentation.episodes import SegmentationEpisodes, absent_queries
from handful.data.segmentation.photos import SegmentationSet
from handful.errors import InputError
from handful.evaluation.results import Result
from handful.evaluation.segmenting import Answers, Run, ShotsBy, View
from handful.methods.segmenter import SegmentationMethod
from handful.metrics.segmentation import (
    bootstrap_interval,
    class_iou,
    foreground_background_iou,
    mean_iou,
    paired_difference,
)
from handful.metrics.verification import auroc, balanced_cut

CURVE = 21
"""Points of the curve of mIoU against absent classes answered empty."""

HELD_BACK = 0.1
"""The share of present classes that a careful threshold answers as absent."""


def measure(
    method: SegmentationMethod,
    dataset: SegmentationSet,
    episodes: SegmentationEpisodes,
    view: View | None = None,
    shots_by: ShotsBy = "method",
    absent: int = 0,
    seed: int = 0,
    published: Sequence[dict[str, Any]] = (),
    counted: int | None = None,
) -> Result:
    """Measure a method on episodes.

    Parameters
    ----------
    method : SegmentationMethod
        The method.
    dataset : SegmentationSet
        The photos that the episodes are numbers into.
    episodes : SegmentationEpisodes
        The episodes.
    view : View, optional
        Sizes; photo, mask and answer on a square of 241 pixels where not given.
    shots_by : {"method", "vote", "or"}
        How several shots become one answer: as the method does; each alone, and the pixels that
        at least half of them find; each alone, and the pixels that any finds.
    absent : int
        So many of the episodes, from the first on, are also asked about a photo without their
        class.
    seed : int
        What the resamples and the absent queries are drawn from.
    published : sequence of dict
        The papers' rows.
    counted : int, optional
        Overlaps are counted on so many of the episodes, from the first on; the others serve
        presence alone. All where not given.

    Returns
    -------
    Result
        With ``metrics``: ``miou``, its 95 % ``interval``, ``fb_iou``, ``per_class`` and, where
        `absent` is above 0, ``presence`` (:func:`presence_metrics`); ``n`` episodes.

    Raises
    ------
    InputError
        `absent` is above the number of episodes.
    """
    start = time.perf_counter()
    if absent > len(episodes):
        raise InputError(f"--absent {absent}: there are {len(episodes)} episodes; draw more")
    run = Run(method, dataset, view or View(), shots_by)
    every = run.answers(episodes.first(max(absent, counted or len(episodes))), method.name)
    episodes, present = episodes.first(counted or len(episodes)), episodes.first(absent or 1)
    answers = every.first(len(episodes))
    metrics = segmentation_metrics(answers, episodes, seed)
    if absent:
        without = run.answers(absent_queries(dataset, present, seed), f"{method.name}, absent")
        presence = every.first(absent).presence
        metrics["presence"] = presence_metrics(
            answers, presence, without, episodes, method.threshold, seed
        )
    return Result(
        protocol="segmentation",
        model=method.name,
        backbone=method.backbone,
        n=len(episodes),
        metrics=metrics,
        published=list(published),
        seconds=time.perf_counter() - start,
        settings={
            "dataset": dataset.name,
            "classes": [dataset.labels[c] for c in np.unique(episodes.classes)],
            "photos": len(dataset),
            "skipped": [list(pair) for pair in dataset.skipped],
            "ways": episodes.ways,
            "shots": episodes.shots,
            "shots_by": shots_by,
            "size": run.view.size or "original",
            "seen": run.view.seen,
        },
        rows=_rows(answers, episodes),
    )


def segmentation_metrics(
    answers: Answers, episodes: SegmentationEpisodes, seed: int = 0
) -> dict[str, Any]:
    """Return mIoU with its interval, FB-IoU and the IoU of each class; shares in [0, 1]."""
    parts = answers.intersection, answers.union, episodes.classes
    iou = class_iou(*parts, len(episodes.labels))
    return {
        "miou": mean_iou(*parts),
        "interval": list(bootstrap_interval(*parts, seed=seed)),
        "fb_iou": foreground_background_iou(answers.fb_intersection, answers.fb_union),
        "per_class": {
            episodes.labels[c]: None if np.isnan(iou[c]) else float(iou[c])
            for c in np.unique(episodes.classes)
        },
    }


def presence_metrics(
    answers: Answers,
    present: NDArray[np.float64],
    absent: Answers,
    episodes: SegmentationEpisodes,
    threshold: float,
    seed: int = 0,
) -> dict[str, Any]:
    """Return how well a method tells that a class is not there.

    Parameters
    ----------
    answers : Answers
        To the usual episodes, whose query shows the class.
    present : ndarray
        (n, 1) presence in episodes whose query shows the class.
    absent : Answers
        To the same n episodes, with a query that does not.
    episodes : SegmentationEpisodes
        The usual ones.
    threshold : float
        The method's own: below it the answer is empty.
    seed : int
        What resamples are drawn from.

    Returns
    -------
    dict
        ``auroc`` of presence on as many queries with the class as without, and its 95 %
        ``interval``; ``present`` and ``absent``, how many; ``threshold``; ``empty``, the share of
        absent classes answered by an empty mask at that threshold, ``kept``, the share of present
        ones that is not held back, and ``miou`` of the usual episodes at it; ``balanced``, the
        threshold with the largest sum of both shares, and ``careful``, that which holds back one
        present class in ten (what to set, when these are validation classes: a mask too many is
        seen, one too few is lost); ``curve``, as thresholds rise from none: [threshold, empty,
        mIoU].
    """
    gate = np.quantile(absent.presence, np.linspace(0, 1, CURVE))
    gate[0] = 0  # nothing is held back
    gate[-1] = np.nextafter(gate[-1], 2)  # all absent ones are answered empty
    yes, no = present.ravel(), absent.presence.ravel()
    return {
        "auroc": auroc(yes, no),
        "interval": _auroc_interval(yes, no, seed),
        "present": len(yes),
        "absent": len(no),
        "threshold": threshold,
        "empty": _empty_share(absent, threshold),
        "kept": float((yes >= threshold).mean()),
        "miou": _gated_miou(answers, episodes, threshold),
        "balanced": balanced_cut(yes, no),
        "careful": float(np.quantile(yes, HELD_BACK)),
        "curve": [
            [float(cut), _empty_share(absent, cut), _gated_miou(answers, episodes, cut)]
            for cut in gate.tolist()
        ],
    }


def _auroc_interval(
    yes: NDArray[np.float64], no: NDArray[np.float64], seed: int, resamples: int = 1000
) -> list[float]:
    """Draw episodes again, each with its two queries."""
    rng = np.random.default_rng([seed, 5])
    drawn = rng.integers(0, len(yes), (resamples, len(yes)))
    found = [auroc(yes[rows], no[rows]) for rows in drawn]
    return [float(end) for end in np.quantile(found, [0.025, 0.975])]


def difference(first: Result, second: Result, seed: int = 0) -> dict[str, Any]:
    """Return by how much one result exceeds another on the same episodes, with its interval.

    Raises
    ------
    InputError
        The results are of other episodes.
    """
    asked = [
        [(row["episode"], row["class"], row["query"]) for row in r.rows] for r in (first, second)
    ]
    if asked[0] != asked[1]:
        raise InputError(
            f"{first.model} and {second.model} answered other episodes; measure both on one"
            f" --episodes-file"
        )
    shape = (first.n, int(first.settings["ways"]))
    classes = np.array([row["class"] for row in first.rows]).reshape(shape)
    pairs = [
        tuple(np.array([row[key] for row in r.rows]).reshape(shape) for key in _COUNTED)
        for r in (first, second)
    ]
    gain, interval = paired_difference(
        (pairs[0][0], pairs[0][1]), (pairs[1][0], pairs[1][1]), classes, seed=seed
    )
    return {"against": second.model, "miou": gain, "interval": list(interval)}


_COUNTED = ("intersection", "union")


def _empty(answers: Answers, threshold: float) -> NDArray[np.bool_]:
    empty: NDArray[np.bool_] = (answers.presence < threshold) | (answers.area == 0)
    return empty


def _empty_share(answers: Answers, threshold: float) -> float:
    return float(_empty(answers, threshold).mean())


def _gated_miou(answers: Answers, episodes: SegmentationEpisodes, threshold: float) -> float:
    held = _empty(answers, threshold)
    return mean_iou(
        np.where(held, 0, answers.intersection),
        np.where(held, answers.truth, answers.union),
        episodes.classes,
    )


def _rows(answers: Answers, episodes: SegmentationEpisodes) -> list[dict[str, Any]]:
    rows = []
    for t, (classes, support) in enumerate(zip(episodes.classes, episodes.support, strict=True)):
        for way, column in enumerate(classes.tolist()):
            both, either = int(answers.intersection[t, way]), int(answers.union[t, way])
            rows.append(
                {
                    "episode": t,
                    "class": episodes.labels[column],
                    "query": episodes.paths[episodes.query[t]],
                    "support": " ".join(episodes.paths[photo] for photo in support[way]),
                    "intersection": both,
                    "union": either,
                    "iou": round(both / either, 6) if either else "",
                    "presence": round(float(answers.presence[t, way]), 6),
                }
            )
    return rows
