"""From a method and drawn episodes to scores: every image encoded once, trials in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.data.episodes import Episodes, Indices
from handful.data.progress import track
from handful.methods.matcher import Image, Matcher, class_scores

Floats = NDArray[np.float64]

# bytes of gathered features: within a core's cache a batch is scored several times faster
_BATCH_BYTES = 1 << 22
_ENCODE_BATCH = 256


@dataclass(frozen=True, eq=False)
class Features:
    """Encoded images, looked up by the index that episodes use.

    Attributes
    ----------
    values : Tensor
        (M, ...) float32, one row per encoded image.
    row : ndarray
        (N,) int64: the row of each image of the data set; -1 where it was not encoded.
    """

    values: Tensor
    row: Indices

    def __getitem__(self, images: Indices) -> Tensor:
        rows = torch.from_numpy(self.row[images])
        return self.values[rows.reshape(-1)].reshape(*rows.shape, *self.values.shape[1:])

    @property
    def row_bytes(self) -> int:
        """Bytes of one image's features."""
        return self.values[0].numel() * self.values.element_size()


def encode(matcher: Matcher, images: Sequence[Image], needed: Indices) -> Features:
    """Encode the images that are needed, each once.

    Parameters
    ----------
    matcher : Matcher
        The method.
    images : sequence of ndarray
        All images of a data set, (N, H, W) or N times (H, W, 3), uint8.
    needed : ndarray
        Which of them, in any order and as often as it may be.
    """
    chosen = np.unique(needed)
    starts = range(0, len(chosen), _ENCODE_BATCH)
    values = torch.empty(0)
    for start in track(starts, f"encoding with {matcher.name}", len(starts)):
        part = matcher.encode([images[i] for i in chosen[start : start + _ENCODE_BATCH]])
        if start == 0:  # the whole is allocated once: two copies of it may be gigabytes
            values = part.new_empty(len(chosen), *part.shape[1:])
        values[start : start + len(part)] = part
    row = np.full(len(images), -1)
    row[chosen] = np.arange(len(chosen))
    return Features(values, row)


@torch.no_grad()
def episode_scores(matcher: Matcher, features: Features, episodes: Episodes) -> Floats:
    """Score every query of every episode against the classes of its support.

    A method whose ``compare`` takes leading dimensions says so by an attribute ``batched``; its
    episodes are scored many at a time, all others one by one.

    Returns
    -------
    ndarray
        (T, Q, ways) float64, larger is more alike; NaN where an episode has no such query.
    """
    asked = np.maximum(episodes.query, 0)
    images = episodes.ways * episodes.shots + episodes.query.shape[1]
    step = max(1, _BATCH_BYTES // (features.row_bytes * images)) if _batched(matcher) else 1
    scores = np.empty((*asked.shape, episodes.ways))
    starts = range(0, len(episodes), step)
    for start in track(starts, f"comparing with {matcher.name}", len(starts)):
        part = slice(start, start + step)
        query, support = features[asked[part]], features[episodes.support[part]]
        found = (
            _many(matcher, query, support)
            if _batched(matcher)
            else class_scores(matcher, query[0], support[0])[None]
        )
        scores[part] = found.numpy()
    scores[episodes.query < 0] = np.nan
    return scores


@torch.no_grad()
def pair_scores(matcher: Matcher, features: Features, pairs: Indices) -> Floats:
    """Score pairs of images (N, 2): (N,) float64, larger is more alike."""
    step = max(1, _BATCH_BYTES // (2 * features.row_bytes)) if _batched(matcher) else 1
    scores = np.empty(len(pairs))
    starts = range(0, len(pairs), step)
    for start in track(starts, f"verifying with {matcher.name}", len(starts)):
        part = pairs[start : start + step]
        first, second = features[part[:, :1]], features[part[:, 1:]]
        if not _batched(matcher):
            first, second = first[0], second[0]
        scores[start : start + step] = matcher.compare(first, second).numpy().reshape(-1)
    return scores


def _batched(matcher: Matcher) -> bool:
    return bool(getattr(matcher, "batched", False))


def _many(matcher: Matcher, query: Tensor, support: Tensor) -> Tensor:
    """Score queries (T, Q, D) against supports (T, ways, shots, D): (T, Q, ways)."""
    trials, ways, shots = support.shape[:3]
    if shots == 1:
        return matcher.compare(query, support[:, :, 0])
    pooled = matcher.pool(support)
    if pooled is not None:
        return matcher.compare(query, pooled)
    scores = matcher.compare(query, support.flatten(1, 2))
    return scores.reshape(trials, -1, ways, shots).amax(-1)
