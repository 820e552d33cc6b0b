"""The table that sums up what was measured: a line or two of each verb, for `tables`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from handful.evaluation.similarity_tables import Found, Rows, percent

_CHARACTERS = {"protocol": "within-alphabet", "ways": 20, "shots": 1}
_PHOTOS = {"protocol": "fewshot", "dataset": "caltech66", "ways": 5, "shots": 1, "size": 192}
_ANIMALS = {"protocol": "segmentation", "classes": ["cow", "sheep"], "shots": 1}
_CODES = {"protocol": "hashing", "dataset": "cifar10", "backbone": "handful-base", "bits": 16}
_ERASING = {"protocol": "erasing", "model": "handful-base", "dataset": "caltech66"}


@dataclass(frozen=True)
class _Line:
    """What was asked; the results that answer it, ours and another, each with its figure."""

    verb: str
    asked: str
    ours: dict[str, Any]
    metric: str
    other: dict[str, Any]
    other_metric: str
    beside: str


_LINES = (
    _Line(
        "recognize",
        "which of 20 characters of an alphabet nobody here learned from, one drawing of each",
        _CHARACTERS | {"model": "omniglot-small"},
        "accuracy",
        _CHARACTERS | {"model": "nearest-neighbour"},
        "accuracy",
        "nearest neighbour of pixels",
    ),
    _Line(
        "recognize",
        "which of 5 kinds of things in photos, one photo of each",
        _PHOTOS | {"model": "handful-base"},
        "accuracy",
        _PHOTOS | {"model": "prototypes:handful-base-source"},
        "accuracy",
        "the network that `handful-base` was made from",
    ),
    _Line(
        "segment",
        "the pixels of cows and sheep, one photo with a mask (mIoU)",
        _ANIMALS | {"model": "mshnet-light+clusters"},
        "miou",
        _ANIMALS | {"model": "prototypes:resnet50"},
        "miou",
        "prototypes on ResNet-50",
    ),
    _Line(
        "find",
        "photos of a kind among 50,000 by codes of 16 bits, ten examples of each kind (mAP)",
        _CODES | {"model": "handful-bits", "shots": 10},
        "map",
        _CODES | {"model": "ksh", "shots": 10},
        "map",
        "KSH, the best of the published codes",
    ),
    _Line(
        "explain",
        "how many times more erasing what is marked costs than erasing elsewhere",
        _ERASING,
        "score.ratio",
        _ERASING,
        "gradcam.ratio",
        "Grad-CAM",
    ),
)


def glance(found: Iterable[Found]) -> Rows:
    """One figure for each thing that handful does, beside that of something simpler or known."""
    results = list(found)
    rows = [["", "asked for", "handful", "beside", ""]]
    for line in _LINES:
        ours, other = _of(results, line.ours), _of(results, line.other)
        if ours is None or other is None:
            continue
        values = [_figure(ours, line.metric), _figure(other, line.other_metric)]
        shown = [f"{v:.1f}x" if line.verb == "explain" else f"{percent(v)} %" for v in values]
        rows.append([f"**{line.verb}**", line.asked, f"**{shown[0]}**", shown[1], line.beside])
    return rows


def _of(results: Iterable[Found], wanted: dict[str, Any]) -> Found | None:
    return next((one for one in results if wanted.items() <= _plain(one).items()), None)


def _plain(result: Found) -> dict[str, Any]:
    """Return what can be compared: everything but nested figures."""
    return {key: value for key, value in result.items() if not isinstance(value, dict)}


def _figure(result: Found, metric: str) -> float:
    value: Any = result["metrics"]
    for name in metric.split("."):
        value = value[name]
    return float(value)
