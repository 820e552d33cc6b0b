"""The models of ``auto``: by what the examples are, drawings or photos, large things or small."""

from __future__ import annotations

from collections.abc import Callable

from handful.images.kind import is_drawing
from handful.methods.masks.support import Taught
from handful.methods.masks.zoom import Zoom
from handful.methods.matcher import Image

Read = Callable[[int], Image]

DRAWINGS, PHOTOS = "omniglot-small", "handful-base"

THINGS, MATTER = "mshnet-light+clusters", "discriminant:handful-base"
"""What segments things in photos; and what segments the small, the many and the strange."""

UNMASKED = "attention-mutual:handful-base"
"""What segments by examples with labels alone."""

LOOKED_AT = 32
"""Examples that are looked at, spread evenly over the support."""


def choose_model(count: int, read: Read) -> tuple[str, str]:
    """Choose by the majority of the examples; see `handful.images.kind.is_drawing` for one.

    Parameters
    ----------
    count : int
        How many examples there are.
    read : callable
        Gives one of them by its number; at most `LOOKED_AT` are asked for.

    Returns
    -------
    name, reason : str
        A name of the zoo, and one clause that says why.

    Examples
    --------
    >>> import numpy as np
    >>> page = np.full((40, 40, 3), 255, np.uint8)
    >>> page[10:30, 20] = 0
    >>> choose_model(3, lambda number: page)
    ('omniglot-small', 'auto: 3 of 3 examples are drawings')
    """
    looked = min(count, LOOKED_AT)
    places = [round(i * (count - 1) / max(1, looked - 1)) for i in range(looked)]
    drawings = sum(is_drawing(read(place)) for place in places)
    if 2 * drawings > looked:
        return DRAWINGS, f"auto: {drawings} of {looked} examples are drawings"
    return PHOTOS, f"auto: {looked - drawings} of {looked} examples are photos"


def choose_segmenter(taught: Taught, zoom: Zoom | None, classes: int = 1) -> tuple[str, str]:
    """Choose by what the examples teach, how large their objects are, and of how many classes.

    A network that was trained on photos of things finds things of another kind well where they
    fill a fair part of the photo. Cells, defects and grains are nothing that it has seen: there, a
    classifier of pixels that is fitted to the examples alone does better. So it does where
    several classes are to be told apart, of which the network may take any for the thing.

    Parameters
    ----------
    taught : {"masks", "boxes", "labels"}
        What the examples have.
    zoom : Zoom or None
        How large pictures are to be seen by the size of the objects; None without masks.
    classes : int
        How many there are.

    Returns
    -------
    name, reason : str
        A name of `handful.methods.segmenters`, and one clause that says why.

    Examples
    --------
    >>> choose_segmenter("masks", Zoom(None, 0.2))
    ('mshnet-light+clusters', 'auto: examples with masks of large objects')
    """
    if taught == "labels" or zoom is None:
        return UNMASKED, "auto: examples with labels alone, no masks"
    made = "masks" if taught == "masks" else "boxes, GrabCut made their masks,"
    if classes > 1:
        return MATTER, f"auto: examples with {made} of {classes} classes"
    if zoom.factor is None:
        return THINGS, f"auto: examples with {made} of large objects"
    return MATTER, f"auto: examples with {made} of small objects"
