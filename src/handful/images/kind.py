"""What kind of picture it is: strokes on a plain ground, or a photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handful.images.ink import ink

_SIDE = 105


def is_drawing(image: NDArray[np.uint8]) -> bool:
    """Say whether a picture is a drawing: strokes, without colour, on a plain ground.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB or (H, W) grey, uint8.

    Notes
    -----
    A drawing has hardly any colour, and its ground, what lies within a tenth of the strokes'
    strength of it, covers most of the page.

    Examples
    --------
    >>> page = np.full((60, 60, 3), 255, np.uint8)
    >>> page[10:50, 28:32] = 0
    >>> is_drawing(page)
    True
    >>> ramp = np.tile(np.arange(60, dtype=np.uint8)[:, None, None], (1, 60, 3))
    >>> is_drawing(ramp)
    False
    """
    if image.ndim == 3:
        spread = image.max(2).astype(np.int16) - image.min(2)
        if np.quantile(spread, 0.99) > 40:
            return False
    strokes = ink(image, _SIDE)
    return bool((strokes < 0.1).mean() > 0.75 and strokes.any())
