"""The conditioning effect: examples of another class have to find the other object.

A photo shows two objects. It is segmented by examples of the class of one, and again by examples
of the class of the other, each time alone. It counts as right when both masks lie on their own
object: when each overlaps it by a larger IoU than it overlaps the other. A method that does not
look at its examples gives one mask twice, which can never be right: it has a share of exactly 0,
and so has an empty mask.

A. Shaban et al., "One-shot learning for semantic segmentation", 2017, show the effect in figure 4
of their supplement; the count is handful's own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.progress import track
from handful.data.segmentation.photos import SegmentationSet
from handful.errors import InputError
from handful.evaluation.results import Result
from handful.evaluation.segmenting import Run, ShotsBy, View
from handful.evaluation.two_objects import SHARE, Case, Kind, Pair, draw_cases, photos_of_pairs
from handful.methods.segmenter import SegmentationMethod, decide
from handful.metrics.accuracy import wilson_interval
from handful.metrics.segmentation import overlap

Overlaps = NDArray[np.float64]
"""(cases, 2, 2): the IoU of the mask by examples of either class with either object."""

KINDS: tuple[Kind, ...] = ("photo", "mask")


def measure(
    method: SegmentationMethod,
    dataset: SegmentationSet,
    classes: Sequence[str],
    seen: Sequence[str] = (),
    view: View | None = None,
    shots: int = 1,
    draws: int = 1,
    seed: int = 0,
    shots_by: ShotsBy = "method",
    share: float = SHARE,
) -> Result:
    """Measure how often another support finds the other object.

    Parameters
    ----------
    method : SegmentationMethod
        The method.
    dataset : SegmentationSet
        The photos.
    classes : sequence of str
        The classes to test: pairs of these are what the headline counts.
    seen : sequence of str
        Classes that trained methods may have seen; pairs of one of these and a tested class are
        counted apart.
    view : View, optional
        Sizes; a square of 241 pixels where not given.
    shots, draws : int
        Examples of a class; how often they are drawn for every photo.
    seed : int
        What they are drawn from.
    shots_by : {"method", "vote", "or"}
        See `handful.evaluation.segmenting.Run`.
    share : float
        The share of the photo that each of its two objects exceeds.

    Returns
    -------
    Result
        With the ``metrics`` of :func:`effect` where the photo of the support is another one for
        the other class, and in ``mask_swap`` where only its mask is. Both hold ``with_seen``, the
        same of the pairs with a seen class, and ``left_out``, the photos of pairs that lack
        examples. ``n`` photos of the headline.

    Raises
    ------
    InputError
        No photo shows two of the classes.
    """
    start = time.perf_counter()
    tested, partners = dataset.find(classes), dataset.find(seen)
    photos = photos_of_pairs(dataset, tested, partners, share)
    if not any(set(pair) <= set(tested) for pair in photos):
        raise InputError(
            f"{dataset.root}: no photo shows two of {', '.join(classes)} on more than"
            f" {share:.0%} of its area each; name more --classes"
        )
    run = Run(method, dataset, view or View(), shots_by)
    parts: dict[Kind, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for swap in KINDS:
        cases, left_out = draw_cases(dataset, photos, swap, shots, draws, seed)
        found = overlaps(run, cases, f"{method.name}, other {swap}")
        parts[swap] = _apart(dataset, cases, found, left_out, set(tested))
        rows += [_row(dataset, swap, case, iou) for case, iou in zip(cases, found, strict=True)]
    return Result(
        protocol="conditioning",
        model=method.name,
        backbone=method.backbone,
        n=parts["photo"]["photos"],
        metrics={**parts["photo"], "mask_swap": parts["mask"]},
        published=[],
        seconds=time.perf_counter() - start,
        settings={
            "dataset": dataset.name,
            "classes": [dataset.labels[column] for column in tested],
            "seen_classes": [dataset.labels[column] for column in partners],
            "photos": len(dataset),
            "skipped": [list(pair) for pair in dataset.skipped],
            "area": share,
            "shots": shots,
            "draws": draws,
            "shots_by": shots_by,
            "size": run.view.size or "original",
            "seen": run.view.seen,
        },
        rows=rows,
    )


def overlaps(run: Run, cases: Sequence[Case], title: str) -> Overlaps:
    """Segment every photo by examples of either class; return the IoU with either object."""
    found = np.zeros((len(cases), 2, 2))
    for number, case in enumerate(track(cases, title)):
        truth = np.stack([run.truth(case.query, column) for column in case.pair])
        for side, (column, photos) in enumerate(zip(case.pair, case.support, strict=True)):
            # alone: the other class must not push the mask off its object
            mask = decide(run.segment(case.query, [column], [photos])[0])
            counted = overlap(np.broadcast_to(mask, truth.shape), truth)
            found[number, side] = counted.intersection / np.maximum(counted.union, 1)
    return found


def effect(dataset: SegmentationSet, cases: Sequence[Case], found: Overlaps) -> dict[str, Any]:
    """Count the photos on which both masks lie on their own object.

    Parameters
    ----------
    dataset : SegmentationSet
        Names the classes.
    cases : sequence of Case
        What was asked; a photo of three objects, or of several draws, several times.
    found : ndarray
        What :func:`overlaps` gave.

    Returns
    -------
    dict
        ``share`` of the photos, each by the mean of its cases, with Wilson's 95 % ``interval``;
        ``photos``, ``cases``; ``own_iou`` and ``other_iou``, the mean IoU of a mask with its own
        object and with the other; ``per_pair``: of each pair ``share``, ``photos`` and ``right``,
        how often either class's mask lay on its own object. Shares are None without a photo.
    """
    right = right_masks(found)
    both: NDArray[np.bool_] = np.asarray(right.all(1))
    share, photos = _share(cases, both)
    by_pair: dict[Pair, list[int]] = {}
    for number, case in enumerate(cases):
        by_pair.setdefault(case.pair, []).append(number)
    per_pair = {}
    for pair, numbers in by_pair.items():
        own, count = _share([cases[n] for n in numbers], both[numbers])
        names = [dataset.labels[column] for column in pair]
        each = dict(zip(names, right[numbers].mean(0).tolist(), strict=True))
        per_pair[" + ".join(names)] = {"share": own, "photos": count, "right": each}
    return {
        "share": share,
        "interval": None if share is None else list(wilson_interval(share * photos, photos)),
        "photos": photos,
        "cases": len(cases),
        "own_iou": _mean(found[:, [0, 1], [0, 1]]),
        "other_iou": _mean(found[:, [0, 1], [1, 0]]),
        "per_pair": per_pair,
    }


def right_masks(found: Overlaps) -> NDArray[np.bool_]:
    """Say of either mask whether it lies on its own object: (cases, 2); a tie is wrong.

    Examples
    --------
    >>> right_masks(np.array([[[0.5, 0.2], [0.1, 0.3]], [[0.4, 0.1], [0.4, 0.1]]])).tolist()
    [[True, True], [True, False]]
    """
    right: NDArray[np.bool_] = found[:, [0, 1], [0, 1]] > found[:, [0, 1], [1, 0]]
    return right


def _apart(
    dataset: SegmentationSet,
    cases: Sequence[Case],
    found: Overlaps,
    left_out: dict[Pair, int],
    tested: set[int],
) -> dict[str, Any]:
    """Return the effect on pairs of tested classes, and inside it that on all other pairs."""
    parts = []
    for unseen in (True, False):
        rows = [n for n, case in enumerate(cases) if (set(case.pair) <= tested) == unseen]
        missing = {
            " + ".join(dataset.labels[column] for column in pair): count
            for pair, count in left_out.items()
            if (set(pair) <= tested) == unseen
        }
        part = effect(dataset, [cases[n] for n in rows], found[rows])
        parts.append({**part, "left_out": missing})
    return {**parts[0], "with_seen": parts[1]}


def _share(cases: Sequence[Case], right: NDArray[np.bool_]) -> tuple[float | None, int]:
    """Return the mean over photos of the share of their cases, and how many photos there are."""
    if not cases:
        return None, 0
    photo = np.unique([case.query for case in cases], return_inverse=True)[1]
    each = np.bincount(photo, right) / np.bincount(photo)
    return float(each.mean()), len(each)


def _mean(values: Overlaps) -> float | None:
    return float(values.mean()) if values.size else None


def _row(dataset: SegmentationSet, swap: Kind, case: Case, iou: Overlaps) -> dict[str, Any]:
    first, second = (dataset.labels[column] for column in case.pair)
    teach = [" ".join(dataset.paths[photo] for photo in photos) for photos in case.support]
    return {
        "swap": swap,
        "query": dataset.paths[case.query],
        "first": first,
        "second": second,
        "support_first": teach[0],
        "support_second": teach[1],
        "first_on_first": round(float(iou[0, 0]), 6),
        "first_on_second": round(float(iou[0, 1]), 6),
        "second_on_first": round(float(iou[1, 0]), 6),
        "second_on_second": round(float(iou[1, 1]), 6),
        "right": int(right_masks(iou[None]).all()),
    }
