"""Close-ups: parts of photos that their object fills, to learn from beside the whole photos.

Photos of things show them before a ground. What learns from such alone does not know what to do
with a class that fills its photo, such as shelves of books.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.data.annotations.mask import Mask
from handful.data.progress import in_threads
from handful.data.segmentation.photos import Indices, MaskSource, SegmentationSet

FILLED, SMALLEST, TRIES = 0.7, 48, 20
"""The share of a close-up that its object covers at least, the side of it in pixels at least, and
how many windows are tried for one."""

Pair = tuple[int, int]
Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Parts:
    """The masks of parts of photos.

    Attributes
    ----------
    whole : MaskSource
        The masks of the photos.
    sources : ndarray
        The photo that each is a part of.
    windows : tuple of ((slice, slice) or None)
        The rows and columns of each; None: all.
    """

    whole: MaskSource
    sources: Indices
    windows: tuple[Window | None, ...]

    def read(self, image: int, label: int) -> Mask:
        """Return where a class is in a part."""
        mask = self.whole.read(int(self.sources[image]), label)
        window = self.windows[image]
        return mask if window is None else mask[window]

    def take(self, rows: Indices, labels: Indices) -> Parts:
        """Return the masks of some parts, of some classes."""
        windows = tuple(self.windows[row] for row in rows)
        return Parts(self.whole.take(self.sources[rows], labels), np.arange(len(rows)), windows)


@dataclass(frozen=True, eq=False)
class WithCloseUps(SegmentationSet):
    """A set of which some photos are parts of others.

    Attributes
    ----------
    sources : ndarray
        A number for each photo; parts of one photo have the same.
    windows : tuple of ((slice, slice) or None)
        The rows and columns of each close-up; None: a whole photo.
    """

    sources: Indices = None  # type: ignore[assignment]
    windows: tuple[Window | None, ...] = ()

    def image(self, image: int) -> NDArray[np.uint8]:
        """Decode a photo or a part of it: (H, W, 3) uint8."""
        whole, window = super().image(image), self.windows[image]
        return whole if window is None else whole[window]

    def checked_mask(self, image: int, label: int) -> Mask:
        """Decode a mask; that of a whole photo has to have its size."""
        # a close-up was cut after its photo had been checked
        if self.windows[image] is None:
            return super().checked_mask(image, label)
        return self.mask(image, label)

    def take(self, photos: ArrayLike) -> WithCloseUps:
        """Return some of the photos and close-ups, with all classes."""
        rows = np.asarray(photos, np.int64)
        found = super().take(rows)
        assert isinstance(found, WithCloseUps)
        windows = tuple(self.windows[row] for row in rows)
        return replace(found, sources=self.sources[rows], windows=windows)


def add_close_ups(
    dataset: SegmentationSet, pairs: Sequence[Pair], seed: int = 0
) -> tuple[WithCloseUps, list[Pair]]:
    """Add a close-up of each photo of a training list that has one.

    Parameters
    ----------
    dataset : SegmentationSet
        The photos.
    pairs : sequence of (int, int)
        Photo and class, what is trained on.
    seed : int
        What windows are drawn from.

    Returns
    -------
    dataset : WithCloseUps
        The photos, then their close-ups; these have no other class than their own to teach.
    pairs : list of (int, int)
        The list, then that of the close-ups.
    """

    def look(numbered: tuple[int, Pair]) -> Window | None:
        number, (photo, label) = numbered
        rng = np.random.default_rng([seed, 6, number])
        return filled_window(dataset.checked_mask(photo, label), rng)

    windows = in_threads(look, [*enumerate(pairs)], "drawing close-ups")
    found = [(pair, window) for pair, window in zip(pairs, windows, strict=True) if window]
    rows = np.array([photo for (photo, _), _ in found], np.int64)
    own = np.zeros((len(rows), len(dataset.labels)), bool)
    own[np.arange(len(rows)), [label for (_, label), _ in found]] = True
    sources = np.concatenate([np.arange(len(dataset)), rows])
    parts = (*[None] * len(dataset), *(window for _, window in found))
    known = {part.name: getattr(dataset, part.name) for part in fields(SegmentationSet)}
    known |= {
        "paths": (*dataset.paths, *(dataset.paths[row] for row in rows)),
        "present": np.concatenate([dataset.present, dataset.present[rows]]),
        "eligible": np.concatenate([dataset.eligible, own]),
        "masks": Parts(dataset.masks, sources, parts),
    }
    together = WithCloseUps(**known, sources=sources, windows=parts)
    more = [(len(dataset) + place, label) for place, ((_, label), _) in enumerate(found)]
    return together, [*pairs, *more]


def filled_window(mask: Mask, rng: np.random.Generator) -> Window | None:
    """Draw a window that an object fills by `FILLED` or more; None where none was found.

    Parameters
    ----------
    mask : ndarray
        (H, W) uint8: 1, 0, or 255 for void, which does not count as the object.
    rng : Generator
        Where it is, and how large, is drawn from.

    Examples
    --------
    >>> mask = np.zeros((200, 200), np.uint8)
    >>> mask[50:150, 40:180] = 1
    >>> rows, columns = filled_window(mask, np.random.default_rng(0))
    >>> bool(mask[rows, columns].mean() >= FILLED)
    True
    >>> filled_window(mask[:60, :60], np.random.default_rng(0)) is None
    True
    """
    inside = mask == 1
    if not inside.any():
        return None
    edges = [np.flatnonzero(inside.any(axis)) for axis in (1, 0)]
    starts = [int(edge[0]) for edge in edges]
    lengths = [int(edge[-1]) + 1 - start for edge, start in zip(edges, starts, strict=True)]
    for _ in range(TRIES):
        window = []
        for start, length in zip(starts, lengths, strict=True):
            side = round(length * rng.uniform(0.4, 1.0))
            first = start + int(rng.integers(length - side + 1))
            window.append(slice(first, first + side))
        rows, columns = window
        part = inside[rows, columns]
        if min(part.shape) >= SMALLEST and part.mean() >= FILLED:
            return rows, columns
    return None
