"""The model of ``auto``: by what the examples are, drawings or photos."""

from __future__ import annotations

from collections.abc import Callable

from handful.images.kind import is_drawing
from handful.methods.matcher import Image

Read = Callable[[int], Image]

DRAWINGS, PHOTOS = "omniglot-small", "handful-base"

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
