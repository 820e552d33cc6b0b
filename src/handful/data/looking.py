"""One look at every example of a support: what can be read, which are the same picture."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.data.pictures import Picture, bare_reason, decode_ahead
from handful.data.progress import track

KEEP_BYTES = 256 * 2**20
"""Memory for decoded pictures: one above its even share is decoded again where it is needed."""


@dataclass(frozen=True)
class Seen:
    """What one look at a picture left.

    Attributes
    ----------
    shape : tuple of int
        (H, W, 3), of a cutout that of its part.
    digest : bytes
        Equal where the pixels are.
    pixels : ndarray or None
        The pixels, where they are small.
    """

    shape: tuple[int, ...]
    digest: bytes
    pixels: NDArray[np.uint8] | None


def look(
    pictures: Sequence[Picture], skipped: list[tuple[str, str]] | None = None
) -> tuple[list[int], tuple[Seen, ...]]:
    """Decode every picture once, for all that is to be known of it.

    Parameters
    ----------
    pictures : sequence of pictures
        The examples.
    skipped : list, optional
        Where given, what cannot be read is appended as (path, why), and left out.

    Returns
    -------
    places : list of int
        Which of the pictures could be read.
    seen : tuple of Seen
        What is known of each.

    Raises
    ------
    InputError
        One cannot be read, and `skipped` is None.
    """
    unread: list[tuple[str, str]] | None = None if skipped is None else []
    places: list[int] = []
    seen: list[Seen] = []
    for batch in decode_ahead(track(pictures, "reading the support", len(pictures)), unread):
        places += batch.places
        seen += [_seen(image, len(pictures)) for image in batch.images]
    if skipped is not None:
        skipped += [(path, bare_reason(why, path)) for path, why in unread or ()]
    return places, tuple(seen)


def _seen(pixels: NDArray[np.uint8], among: int) -> Seen:
    # the pixels, not the file: a copy in another format without loss is found too
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    small = pixels.nbytes <= KEEP_BYTES // among
    return Seen(pixels.shape, digest.digest(), pixels if small else None)
