"""A method of segmentation answering episodes: photos encoded once, overlaps counted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.data.progress import track
from handful.data.segmentation.episodes import SegmentationEpisodes
from handful.data.segmentation.photos import SegmentationSet, resized_mask
from handful.images import resize, size
from handful.methods.segmenter import (
    CUT,
    VOID,
    Features,
    Mask,
    SegmentationMethod,
    at_size,
    decide,
)
from handful.metrics.segmentation import overlap

ShotsBy = Literal["method", "vote", "or"]

SIZE = 241
"""Side of the square where nobody says otherwise, in pixels."""

CACHE_BYTES = 2 * 2**30
"""Features kept between episodes; beyond it the photo used longest ago is encoded again."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Answers:
    """What one method answered, as pixels counted: all metrics follow from it.

    Attributes
    ----------
    intersection, union, truth : ndarray
        (T, ways) int64, of each class asked for; see :func:`handful.metrics.segmentation.overlap`.
    fb_intersection, fb_union : ndarray
        (T, 2) int64, of background and foreground.
    presence : ndarray
        (T, ways) float64 in [0, 1].
    area : ndarray
        (T, ways) int64, pixels answered.
    """

    intersection: Counts
    union: Counts
    truth: Counts
    fb_intersection: Counts
    fb_union: Counts
    presence: NDArray[np.float64]
    area: Counts

    def first(self, count: int) -> Answers:
        """Return the answers to the first episodes."""
        return Answers(*(getattr(self, field.name)[:count] for field in fields(self)))


@dataclass(frozen=True)
class View:
    """At which size pictures are seen and answers are counted.

    Attributes
    ----------
    size : int or None
        Side of the square on which overlaps are counted; None: the photo's own size.
    seen : int
        Side of the square that the method sees.
    """

    size: int | None = SIZE
    seen: int = SIZE


class Run:
    """One method on one data set: encodes every photo once, as long as memory allows.

    Parameters
    ----------
    method : SegmentationMethod
        The method.
    dataset : SegmentationSet
        The photos.
    view : View
        Sizes.
    shots_by : {"method", "vote", "or"}
        How several shots become one answer: as the method does; each alone, and the pixels that
        at least half of them find; each alone, and the pixels that any finds.
    """

    def __init__(
        self, method: SegmentationMethod, dataset: SegmentationSet, view: View, shots_by: ShotsBy
    ) -> None:
        self.method = method
        self.dataset = dataset
        self.view = view
        self.shots_by = shots_by
        self._kept: OrderedDict[int, Features] = OrderedDict()
        self._bytes = 0

    def answers(self, episodes: SegmentationEpisodes, title: str) -> Answers:
        """Answer all episodes."""
        rows = [self._answer(episodes, t) for t in track(range(len(episodes)), title)]
        return Answers(*(np.stack(column) for column in zip(*rows, strict=True)))

    def _answer(self, episodes: SegmentationEpisodes, t: int) -> tuple[NDArray[Any], ...]:
        classes, query = episodes.classes[t].tolist(), int(episodes.query[t])
        truth = np.stack([self.truth(query, column) for column in classes])
        soft, presence = self.segment(query, classes, episodes.support[t].tolist())
        found = decide(soft)
        each = overlap(found, truth)
        shown = (truth == 1).any(0)
        ground = np.where(shown, 1, np.where((truth == VOID).any(0), VOID, 0))
        behind = np.where(ground == VOID, VOID, 1 - ground)
        both = overlap(np.stack([~found.any(0), found.any(0)]), np.stack([behind, ground]))
        return (*each, both.intersection, both.union, presence, found.sum((1, 2)))

    @torch.no_grad()
    def segment(
        self, query: int, classes: Sequence[int], support: Sequence[Sequence[int]]
    ) -> tuple[Tensor, NDArray[np.float64]]:
        """Segment one photo by classes of which other photos are examples.

        Parameters
        ----------
        query : int
            The photo.
        classes : sequence of int
            The classes to look for.
        support : sequence of sequence of int
            The photos that teach each class, by their masks of it.

        Returns
        -------
        masks : Tensor
            Soft masks (classes, H, W) in [0, 1], as large as `truth`.
        presence : ndarray
            (classes,) float64 in [0, 1].
        """
        features = self.features([query, *(photo for row in support for photo in row)])
        shots = [
            [(features[photo], self._support_mask(photo, column)) for photo in row]
            for column, row in zip(classes, support, strict=True)
        ]
        return self._segment(features[query], shots, self._size(query))

    @torch.no_grad()
    def state(self, column: int, photos: Sequence[int]) -> Any:
        """Return what the method makes of a class by its examples, all of them together."""
        features = self.features(photos)
        masks = [self._support_mask(photo, column) for photo in photos]
        return self.method.condition([features[photo] for photo in photos], masks)

    def _segment(
        self,
        query: Features,
        shots: list[list[tuple[Features, Mask]]],
        shape: tuple[int, int],
    ) -> tuple[Tensor, NDArray[np.float64]]:
        together = self.shots_by == "method" or len(shots[0]) == 1
        turns = [shots] if together else [[[s] for s in turn] for turn in zip(*shots, strict=True)]
        parts, sure = [], []
        for groups in turns:
            # a method may set classes against each other: shots of one class never meet here
            states = [self.method.condition(*map(list, zip(*g, strict=True))) for g in groups]
            answer = self.method.answer(query, states)
            parts.append(at_size(answer.masks.float().cpu(), shape))
            sure.append(answer.presence.double().cpu())
        soft, presence = torch.stack(parts, 1), torch.stack(sure, 1)
        if self.shots_by == "vote" and not together:
            soft, presence = (soft >= CUT).float().mean(1), presence.mean(1)
        else:
            soft, presence = soft.amax(1), presence.amax(1)
        return soft, np.asarray(presence)

    def features(self, photos: Sequence[int]) -> dict[int, Features]:
        """Return what the method keeps of photos, encoding those that it does not hold."""
        missing = [photo for photo in dict.fromkeys(photos) if photo not in self._kept]
        side = (self.view.seen, self.view.seen)
        new = (
            self.method.encode([resize(self.dataset.image(photo), side) for photo in missing])
            if missing
            else []
        )
        found = dict(zip(missing, new, strict=True))
        for photo in photos:
            if photo in self._kept:
                self._kept.move_to_end(photo)
                found[photo] = self._kept[photo]
        for photo in missing:
            self._kept[photo] = found[photo]
            self._bytes += _nbytes(found[photo])
        while self._bytes > CACHE_BYTES and self._kept:
            self._bytes -= _nbytes(self._kept.popitem(last=False)[1])
        return found

    def _support_mask(self, photo: int, column: int) -> Mask:
        mask = self.dataset.checked_mask(photo, column)
        squashed = resized_mask(mask, (self.view.seen, self.view.seen))
        # an object of a few pixels may fall between the grid's points: then the whole mask is given
        return squashed if (squashed == 1).any() else mask

    def truth(self, photo: int, column: int) -> Mask:
        """Return where a class is in a photo, (H, W) uint8 at the size at which is counted."""
        mask = self.dataset.checked_mask(photo, column)
        return mask if self.view.size is None else resized_mask(mask, self._size(photo))

    def _size(self, photo: int) -> tuple[int, int]:
        side = self.view.size
        return size(self.dataset.photo(photo)) if side is None else (side, side)


def _nbytes(features: Features) -> int:
    return sum(part.nbytes for part in features.values())
