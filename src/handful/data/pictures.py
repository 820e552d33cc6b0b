"""People's pictures, one or many, as every verb takes them: decoded ahead, a batch at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as PILImage

from handful.errors import InputError
from handful.images import ImageLike
from handful.images.cutting import Box, read_objects


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """One object of a picture: what lies in its box, with `handful.images.cutting.MARGIN`.

    Attributes
    ----------
    image : path, PIL image or ndarray
        The whole picture.
    box : (x, y, width, height)
        The object, in pixels of the upright picture.

    Examples
    --------
    >>> page = np.zeros((40, 60, 3), np.uint8)
    >>> ((_, (image,)),) = batches([Cutout(page, (10, 10, 20, 10))])
    >>> image.shape
    (12, 22, 3)
    """

    image: ImageLike
    box: Box


Picture: TypeAlias = "ImageLike | Cutout"
"""A path, a PIL image or an array (H, W, 3) uint8; or one object of such a picture."""

BATCH = 64
"""Pictures handed on at a time: memory does not grow with their number."""

BATCH_BYTES = 64 * 2**20
"""Decoded pictures of one batch: where they are large, it is ended earlier."""

Decoded = list[NDArray[np.uint8] | InputError]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some decoded pictures.

    Attributes
    ----------
    places : list of int
        Where each stood among the pictures given, those that cannot be read counted.
    pictures : list of Picture
        What was given.
    images : list of ndarray
        (H, W, 3) uint8; of a cutout, its part alone.
    """

    places: list[int]
    pictures: list[Picture]
    images: list[NDArray[np.uint8]]


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
    return isinstance(pictures, str | os.PathLike | PILImage | Cutout)


def many(pictures: Picture | Iterable[Picture]) -> Iterable[Picture]:
    """Return the pictures, or the one picture in a list."""
    return [pictures] if is_one(pictures) else cast("Iterable[Picture]", pictures)


def whole(picture: Picture) -> ImageLike:
    """Return the whole picture, also of a cutout."""
    return picture.image if isinstance(picture, Cutout) else picture


def box(picture: Picture) -> Box | None:
    """Return the box of a cutout; None for a whole picture."""
    return picture.box if isinstance(picture, Cutout) else None


def name(picture: Picture) -> str | None:
    """Return the path of a picture; None where it was given as pixels."""
    image = whole(picture)
    return os.fspath(image) if isinstance(image, str | os.PathLike) else None


def title(picture: Picture) -> str | None:
    """Return the path of a picture, and the box of a cutout.

    Examples
    --------
    >>> title(Cutout("a.jpg", (10.0, 20.5, 30.0, 40.0)))
    'a.jpg [10, 20.5, 30, 40]'
    """
    path, part = name(picture), box(picture)
    if path is None or part is None:
        return path
    return f"{path} [{', '.join(f'{value:g}' for value in part)}]"


def bare_reason(why: str, picture: str) -> str:
    """Return why a picture was skipped without its path, which is told beside it.

    Parameters
    ----------
    why, picture : str
        As `decode_ahead` lists them.

    Examples
    --------
    >>> bare_reason("a.jpg: empty", "a.jpg"), bare_reason("a.jpg: empty", "a.jpg [1, 2, 3, 4]")
    ('empty', 'empty')
    """
    # the path of a cutout is followed by its box, which the reason does not name
    return why.removeprefix(f"{picture}: ").removeprefix(f"{picture.rpartition(' [')[0]}: ")


def batches(
    pictures: Iterable[Picture],
    skipped: list[tuple[str, str]] | None = None,
    size: int = BATCH,
    at_least: int | None = None,
) -> Iterator[tuple[list[str | None], list[NDArray[np.uint8]]]]:
    """Decode pictures a batch at a time: the names and pixels of `decode_ahead`.

    Yields
    ------
    names, images : list of (str or None), list of ndarray
        The paths, and as many images (H, W, 3) uint8; never an empty batch.
    """
    for batch in decode_ahead(pictures, skipped, size, at_least):
        yield list(map(name, batch.pictures)), batch.images


def decode_ahead(
    pictures: Iterable[Picture],
    skipped: list[tuple[str, str]] | None = None,
    size: int = BATCH,
    at_least: int | None = None,
    pool: ThreadPoolExecutor | None = None,
) -> Iterator[Batch]:
    """Decode pictures a batch at a time, the next ones while a batch is being used.

    A few threads decode what comes next; how many pictures wait is bounded, in number and in
    memory. The objects of one picture that follow each other are cut from one decoding.

    Parameters
    ----------
    pictures : iterable of pictures
        Consumed a bounded number ahead of the batches.
    skipped : list, optional
        Where given, a picture that cannot be read is appended with the reason, and left out.
    size : int
        The largest batch.
    at_least : int, optional
        A short side in pixels that is enough, see `handful.images.read`.
    pool : ThreadPoolExecutor, optional
        The threads that decode, shared with other work; by default one for each core.

    Yields
    ------
    Batch
        In the order given; never an empty one.

    Raises
    ------
    InputError
        A picture cannot be read, and `skipped` is None.
    """
    if pool is None:
        own = ThreadPoolExecutor(cores(), "decode")
        try:
            yield from decode_ahead(pictures, skipped, size, at_least, own)
        finally:
            own.shutdown(wait=True, cancel_futures=True)
        return
    batch, held = Batch([], [], []), 0
    for place, (picture, image) in enumerate(_decoded(pictures, size, at_least, pool)):
        if isinstance(image, InputError):
            if skipped is None:
                raise image
            skipped.append((title(picture) or "an array", str(image)))
            continue
        if batch.images and (len(batch.images) >= size or held + image.nbytes > BATCH_BYTES):
            yield batch
            batch, held = Batch([], [], []), 0
        batch.places.append(place)
        batch.pictures.append(picture)
        batch.images.append(image)
        held += image.nbytes
        if len(batch.images) >= size:
            yield batch
            batch, held = Batch([], [], []), 0
    if batch.images:
        yield batch


def _decoded(
    pictures: Iterable[Picture], size: int, at_least: int | None, pool: ThreadPoolExecutor
) -> Iterator[tuple[Picture, NDArray[np.uint8] | InputError]]:
    """Yield every picture with its pixels, or with why it cannot be read, in order."""
    jobs = _jobs(pictures, size)
    waiting: deque[tuple[list[Picture], Future[Decoded]]] = deque()
    largest = 0
    while True:
        # nothing is known of their size at first: a few will tell
        room = max(cores(), min(size, BATCH_BYTES // largest)) if largest else 2 * cores()
        for job in islice(jobs, max(0, room - len(waiting))):
            waiting.append((job, _submit(pool, job, at_least)))
        if not waiting:
            return
        job, found = waiting.popleft()
        images = found.result()
        largest = max(largest, sum(i.nbytes for i in images if isinstance(i, np.ndarray)))
        yield from zip(job, images, strict=True)


def _jobs(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    """Put the objects of one file that follow each other together, `size` at most."""
    for key, run in groupby(pictures, key=lambda p: (isinstance(p, Cutout), name(p))):
        together = size if key[0] and key[1] is not None else 1
        while job := list(islice(run, together)):
            yield job


def _submit(pool: ThreadPoolExecutor, job: list[Picture], at_least: int | None) -> Future[Decoded]:
    if name(job[0]) is not None:
        return pool.submit(_decode, job, at_least)
    # a picture given as pixels costs nothing, and a PIL image is not to be loaded by two at once
    done: Future[Decoded] = Future()
    done.set_result(_decode(job, at_least))
    return done


def _decode(job: list[Picture], at_least: int | None) -> Decoded:
    path, boxes = name(job[0]), [box(picture) for picture in job]
    try:
        found = read_objects(whole(job[0]), boxes, at_least)
    except InputError as error:
        return [error] * len(job)
    # what is wrong with a box does not name the file yet
    where = f"{path}: " if path is not None else ""
    return [InputError(f"{where}{i}") if isinstance(i, InputError) else i for i in found]
