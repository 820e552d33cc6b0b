"""What explanations are worth: the similarity lost by erasing what they mark.

A triplet is explained by the map of its anchor. The marked fifth of the anchor is erased, and its
cosine to the positive before, less that after, is the fall; the same mask shifted around says what
any such hole costs. Grad-CAM of the class that a linear head predicts, fitted on other classes, is
measured beside it on the same triplets and the same shifts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import normalize

from handful.backbones.cut import Cut, LinearHead, cut
from handful.backbones.embedder import NetworkEmbedder
from handful.data.class_folders import ClassFolders
from handful.data.pictures import batches
from handful.data.progress import track
from handful.errors import InputError
from handful.evaluation.folders import dataset_name
from handful.evaluation.results import Result
from handful.methods import erasing
from handful.methods.baselines.gradcam import LinearClassifier, gradcam
from handful.methods.matcher import Matcher
from handful.methods.similarity_attention import Pooling, attention, tuple_weights

WAYS = ("score", "difference", "gradcam", "centre")
"""How a triplet is explained: by the shares of its positions in the margin of its similarities
(what `Explainer` does), by the weight vectors of Zheng et al., or by Grad-CAM. ``centre`` explains
nothing: it marks the middle of every picture, where people put what they photograph."""

_BOOTSTRAP = 2000
# triplets whose erased anchors are held at once
_CHUNK = 4


@dataclass(frozen=True, eq=False)
class _Seen:
    """A folder as the network sees it: inputs, maps and vectors of every image."""

    folder: ClassFolders
    pixels: Tensor
    maps: Tensor
    vectors: Tensor


def measure(
    matcher: Matcher,
    folder: ClassFolders,
    others: ClassFolders | None = None,
    triplets: int = 500,
    seed: int = 0,
    pooling: Pooling = "mean",
) -> Result:
    """Measure the explanations of a method on triplets drawn from a folder of classes.

    Parameters
    ----------
    matcher : Matcher
        A method whose network ends in a head that is affine in its last map.
    folder : ClassFolders
        The images; an anchor is drawn from those whose class has two.
    others : ClassFolders, optional
        Images of other classes, on which Grad-CAM's linear head is fitted; without them it is not
        measured.
    triplets : int
        How many, at least two.
    seed : int
        What triplets, shifts and the bootstrap are drawn from.
    pooling : {"mean", "local"}
        See `handful.methods.similarity_attention`.

    Returns
    -------
    Result
        With ``metrics``: for each of `WAYS` the mean ``fall``, the mean ``random_fall``, their
        ``ratio`` and its 95 % ``interval`` (bootstrap over triplets), and how often (``above``)
        the mark costs more than a shifted mask; ``over_gradcam``: for each other way the
        difference of the mean falls and its interval, and the quotient of the ratios and its
        interval.

    Raises
    ------
    InputError
        No class has two images, fewer than two classes, or a method without such a head.
    """
    start = time.perf_counter()
    embedder = getattr(matcher, "embedder", None)
    network = cut(embedder.network) if isinstance(embedder, NetworkEmbedder) else None
    if network is None or network.head is None or not isinstance(embedder, NetworkEmbedder):
        raise InputError(f"{matcher.name}: has no network whose last map is pooled linearly")
    classifier = _classifier(network, embedder, others) if others is not None else None
    seen = _see(network, embedder, folder)
    drawn = draw_triplets(seen.folder.labels, triplets, seed)
    falls: dict[str, list[erasing.Falls]] = {
        way: [] for way in WAYS if classifier or way != "gradcam"
    }
    chunks = range(0, len(drawn), _CHUNK)
    for first in track(chunks, f"erasing with {matcher.name}", len(chunks)):
        part = drawn[first : first + _CHUNK]
        for way, maps in _maps(seen, part, network.head, classifier, pooling):
            # the same shifts for every way
            chance = torch.Generator().manual_seed(seed * 1_000_003 + first)
            falls[way].append(_falls(seen, part, network, maps, chance))
    table = {way: _columns(found) for way, found in falls.items()}
    metrics = _summary(table, seed)
    return Result(
        protocol="erasing",
        model=matcher.name,
        backbone=matcher.backbone,
        n=len(drawn),
        metrics=metrics,
        published=[],
        seconds=time.perf_counter() - start,
        settings={
            "dataset": dataset_name(folder.root),
            "triplets": len(drawn),
            "share": erasing.SHARE,
            "draws": erasing.DRAWS,
            "pooling": pooling,
            "classes": len(seen.folder.classes),
            "images": len(seen.folder),
            "skipped": [list(pair) for pair in seen.folder.skipped],
        },
        rows=[
            {"triplet": t}
            | dict(
                zip(
                    ("anchor", "positive", "negative"),
                    (seen.folder.names[i] for i in row),
                    strict=True,
                )
            )
            | {
                f"{way}_{what}": round(float(values[t]), 6)
                for way, columns in table.items()
                for what, values in zip(("fall", "random_fall"), columns, strict=True)
            }
            for t, row in enumerate(drawn.tolist())
        ],
    )


def draw_triplets(labels: Sequence[str], count: int, seed: int) -> NDArray[np.int64]:
    """Draw triplets: anchor and positive of one class, a negative of any other.

    Parameters
    ----------
    labels : sequence of str
        The class of each image.
    count : int
        How many.
    seed : int
        The same labels and seed give the same triplets.

    Returns
    -------
    ndarray
        (count, 3) numbers of images. Classes are drawn first, so each counts alike.

    Raises
    ------
    InputError
        No class has two images, or there is one class only.

    Examples
    --------
    >>> draw_triplets(["a", "a", "b"], 3, seed=0)[:, 2].tolist()
    [2, 2, 2]
    """
    found = np.asarray(labels)
    members = {label: np.flatnonzero(found == label) for label in sorted(set(labels))}
    several = [label for label, rows in members.items() if len(rows) > 1]
    if not several or len(members) < 2:
        raise InputError("triplets need two classes, one of them with two images")
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        label = several[rng.integers(len(several))]
        other = [name for name in members if name != label][rng.integers(len(members) - 1)]
        pair = rng.choice(members[label], 2, replace=False)
        rows.append([*pair.tolist(), int(rng.choice(members[other]))])
    return np.array(rows, np.int64)


def _see(network: Cut, embedder: NetworkEmbedder, folder: ClassFolders) -> _Seen:
    unread: list[tuple[str, str]] = []
    kept: list[int] = []
    columns: tuple[list[Tensor], ...] = ([], [], [])
    for numbers, *found in _passes(network, embedder, folder, unread):
        kept += numbers
        for column, part in zip(columns, found, strict=True):
            column.append(part)
    skipped = [(folder.name(path), why.removeprefix(f"{path}: ")) for path, why in unread]
    seen = folder.take(kept, skipped)
    return _Seen(seen, *map(torch.cat, columns))


def _classifier(network: Cut, embedder: NetworkEmbedder, folder: ClassFolders) -> LinearClassifier:
    labels: list[str] = []
    vectors = []
    for numbers, _, _, part in _passes(network, embedder, folder, []):
        labels += [folder.labels[i] for i in numbers]
        vectors.append(part)
    return LinearClassifier.fit(torch.cat(vectors), labels)


@torch.no_grad()
def _passes(
    network: Cut, embedder: NetworkEmbedder, folder: ClassFolders, unread: list[tuple[str, str]]
) -> Iterator[tuple[list[int], Tensor, Tensor, Tensor]]:
    """Give the numbers, inputs, maps and vectors of a folder's images, a batch at a time."""
    place = {str(path): i for i, path in enumerate(folder.paths)}
    paths = track(folder.paths, f"encoding with {embedder.name}", len(folder))
    empty = True
    for names, images in batches(paths, unread, embedder.batch):
        pixels = embedder.pixels(images)
        yield [place[str(name)] for name in names], pixels, *network.both(pixels)
        empty = False
    if empty:
        raise InputError(f"{folder.root}: none of its images can be read ({unread[0][1]})")


@torch.no_grad()
def _maps(
    seen: _Seen,
    part: NDArray[np.int64],
    head: LinearHead,
    classifier: LinearClassifier | None,
    pooling: Pooling,
) -> Iterator[tuple[str, Tensor]]:
    """Give the maps (T, h, w) of the anchors of some triplets, by every way."""
    which = torch.from_numpy(part)
    maps, vectors = seen.maps[which[:, 0]], seen.vectors[which[:, 0]]
    anchor, positive, negative = normalize(seen.vectors[which], dim=-1).unbind(1)
    yield "score", attention(maps, vectors, positive - negative, head, pooling, centred=False)
    weights = tuple_weights(anchor, [positive], [negative])
    yield "difference", attention(maps, vectors, weights, head, pooling)
    if classifier is not None:
        yield "gradcam", gradcam(maps, vectors, classifier, head, pooling)
    yield "centre", _disc(maps.shape[2], maps.shape[3]).expand(len(part), -1, -1)


def _disc(height: int, width: int) -> Tensor:
    """Return a map that falls with the distance from the middle of the picture."""
    down = (torch.arange(height) + 0.5) / height - 0.5
    across = (torch.arange(width) + 0.5) / width - 0.5
    return 1 - torch.hypot(down[:, None], across[None])


def _falls(
    seen: _Seen, part: NDArray[np.int64], network: Cut, maps: Tensor, chance: torch.Generator
) -> erasing.Falls:
    which = torch.from_numpy(part)
    pixels = seen.pixels[which[:, 0]]
    positive = normalize(seen.vectors[which[:, 1]], dim=-1)

    def score(images: Tensor) -> Tensor:
        found = normalize(network.both(images)[1], dim=-1).view(-1, *positive.shape)
        return torch.sum(found * positive, dim=-1).flatten()

    mask = erasing.top_mask(maps.to(pixels.device), (pixels.shape[2], pixels.shape[3]))
    return erasing.measure_falls(score, pixels, mask, chance)


def _columns(falls: Sequence[erasing.Falls]) -> tuple[NDArray[Any], NDArray[Any]]:
    fall = torch.cat([found.fall for found in falls]).cpu().double().numpy()
    return fall, torch.cat([found.random_fall for found in falls]).cpu().double().numpy()


def _summary(table: dict[str, tuple[NDArray[Any], NDArray[Any]]], seed: int) -> dict[str, Any]:
    """Compare mean falls; the bootstrap draws the same triplets for every way."""
    count = len(next(iter(table.values()))[0])
    drawn = np.random.default_rng(seed).integers(count, size=(_BOOTSTRAP, count))
    ratios = {}
    metrics: dict[str, Any] = {}
    for way, (fall, random_fall) in table.items():
        ratios[way] = _quotient(fall[drawn].mean(1), random_fall[drawn].mean(1))
        metrics[way] = {
            "fall": float(fall.mean()),
            "random_fall": float(random_fall.mean()),
            "ratio": float(_quotient(fall.mean(), random_fall.mean())),
            "interval": _ends(ratios[way]),
            "above": float((fall > random_fall).mean()),
        }
    if "gradcam" in table:
        rival = table["gradcam"][0]
        metrics["over_gradcam"] = {
            way: {
                "fall": float((fall - rival).mean()),
                "fall_interval": _ends((fall - rival)[drawn].mean(1)),
                "ratio": float(_quotient(metrics[way]["ratio"], metrics["gradcam"]["ratio"])),
                "ratio_interval": _ends(_quotient(ratios[way], ratios["gradcam"])),
            }
            for way, (fall, _) in table.items()
            if way != "gradcam"
        }
    return metrics


def _quotient(above: ArrayLike, below: ArrayLike) -> NDArray[Any]:
    """Divide; where nothing is lost at random, as if a millionth were: a large, finite number."""
    return np.asarray(np.asarray(above) / np.maximum(below, 1e-6))


def _ends(values: NDArray[Any]) -> list[float]:
    return [float(end) for end in np.quantile(values, (0.025, 0.975))]
