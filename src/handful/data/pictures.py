"""People's pictures, one or many, as every verb takes them: decoded a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as PILImage

from handful.errors import InputError
from handful.images import ImageLike, read

Picture: TypeAlias = ImageLike
"""A path, a PIL image or an array (H, W, 3) uint8."""

BATCH = 64
"""Pictures decoded at a time: memory does not grow with their number."""


def is_one(pictures: object) -> TypeGuard[Picture]:
    """Say whether this is one picture, not several.

    Examples
    --------
    >>> is_one("a.png"), is_one(["a.png"])
    (True, False)
    >>> is_one(np.zeros((9, 9, 3), np.uint8)), is_one(np.zeros((2, 9, 9, 3), np.uint8))
    (True, False)
    """
    if isinstance(pictures, np.ndarray):
        return pictures.ndim <= 3 and pictures.dtype != object
    return isinstance(pictures, str | os.PathLike | PILImage)


def many(pictures: Picture | Iterable[Picture]) -> Iterable[Picture]:
    """Return the pictures, or the one picture in a list."""
    return [pictures] if is_one(pictures) else cast("Iterable[Picture]", pictures)


def name(picture: Picture) -> str | None:
    """Return the path of a picture; None where it was given as pixels."""
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else None


def batches(
    pictures: Iterable[Picture],
    skipped: list[tuple[str, str]] | None = None,
    size: int = BATCH,
) -> Iterator[tuple[list[str | None], list[NDArray[np.uint8]]]]:
    """Decode pictures a batch at a time.

    Parameters
    ----------
    pictures : iterable of pictures
        Consumed as the batches are, so a progress bar around it tells the truth.
    skipped : list, optional
        Where given, a picture that cannot be read is appended with the reason, and left out.
    size : int
        The largest batch.

    Yields
    ------
    names, images : list of (str or None), list of ndarray
        The paths, and as many images (H, W, 3) uint8; never an empty batch.

    Raises
    ------
    InputError
        A picture cannot be read, and `skipped` is None.
    """
    rest = iter(pictures)
    while chunk := list(islice(rest, size)):
        names: list[str | None] = []
        images: list[NDArray[np.uint8]] = []
        for picture in chunk:
            try:
                image = read(picture)
            except InputError as error:
                if skipped is None:
                    raise
                skipped.append((name(picture) or "an array", str(error)))
                continue
            names.append(name(picture))
            images.append(image)
        if images:
            yield names, images
