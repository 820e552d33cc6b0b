"""What kind of picture it is: strokes on a plain ground, or a photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handful.images.transform import resize

# measured on training and validation photos and on drawings of Omniglot's background alphabets
GROUND, HALFTONES = 0.8, 0.4
_SIDE, _FAINT = 256, 24


def is_drawing(image: NDArray[np.uint8]) -> bool:
    """Say whether a picture is a drawing: mostly plain ground, and on it hardly any halftones.

    The ground is the most frequent tone. A pixel's ink is its distance from there, in parts of
    the strongest ink (its 99.5th percentile). Less than a quarter is ground, up to three fifths
    is a halftone, and more is a stroke. In a drawing at least four fifths of the page are ground,
    and less than two fifths of the rest are halftones. Colour does not matter.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB or (H, W) grey, uint8. One with hardly any contrast is no drawing.

    Examples
    --------
    >>> page = np.full((60, 60, 3), 255, np.uint8)
    >>> page[10:50, 28:32] = 0
    >>> is_drawing(page)
    True
    >>> ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8)[:, None, None], (1, 60, 3))
    >>> is_drawing(ramp)
    False
    """
    grey = image if image.ndim == 2 else image.mean(2).astype(np.uint8)
    scale = _SIDE / max(grey.shape)
    if scale < 1:
        sides = [max(1, round(side * scale)) for side in grey.shape]
        grey = resize(grey, (sides[0], sides[1]))
    tones = np.bincount(grey.ravel(), minlength=256)
    ground = int(np.convolve(tones, np.ones(17), "same").argmax())
    ink = np.abs(grey.astype(np.int16) - ground)
    strongest = float(np.quantile(ink, 0.995))
    if strongest < _FAINT:
        return False
    plain, stroke = ink < 0.25 * strongest, ink >= 0.6 * strongest
    rest = int(plain.size - plain.sum())
    return bool(plain.mean() >= GROUND and rest - stroke.sum() < HALFTONES * rest)
