"""GrabCut, the one wrapper of it: from hints at each pixel to object and ground.

C. Rother, V. Kolmogorov and A. Blake, "GrabCut: interactive foreground extraction using iterated
graph cuts", 2004.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.errors import InputError
from handful.methods.segmenter import Image

NOT, SURELY, UNLIKELY, LIKELY = 0, 1, 2, 3
"""Hints, by OpenCV's values: surely ground, surely object, probably ground, probably object."""

ROUNDS = 3


def grabcut(image: Image, hints: NDArray[np.uint8], rounds: int = ROUNDS) -> NDArray[np.bool_]:
    """Cut an object out by the colours of what hints say of it and of its ground.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8.
    hints : ndarray
        (H, W) uint8 of `NOT`, `SURELY`, `UNLIKELY` and `LIKELY`; what is sure stays as it is.
    rounds : int
        Iterations, each of two mixtures of colours and one cut.

    Returns
    -------
    ndarray
        (H, W) bool. Where hints name only an object, or only its ground, they are the answer.

    Examples
    --------
    >>> photo = np.full((40, 40, 3), 40, np.uint8)
    >>> photo[10:30, 10:30] = (250, 200, 0)
    >>> hints = np.full((40, 40), NOT, np.uint8)
    >>> hints[5:35, 5:35] = LIKELY
    >>> int(grabcut(photo, hints).sum())
    400
    """
    import cv2

    if hints.shape != image.shape[:2]:
        raise InputError(f"hints {hints.shape} for a picture {image.shape[:2]}: make them alike")
    values = np.isin(hints, (SURELY, LIKELY))
    if values.all() or not values.any():
        return values
    sides = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its colour models start by chance
    bgr = np.ascontiguousarray(image[..., ::-1])
    cut, *_ = cv2.grabCut(bgr, hints.copy(), None, *sides, rounds, cv2.GC_INIT_WITH_MASK)
    found: NDArray[np.bool_] = np.isin(cut, (SURELY, LIKELY))
    return found


def seed_hints(
    heat: ArrayLike, surely: float = 0.6, likely: float = 0.3, ground: float = 0.05
) -> NDArray[np.uint8]:
    """Turn a map of evidence into hints, by shares of its maximum.

    Parameters
    ----------
    heat : array_like
        (H, W), not negative.
    surely, likely : float
        Above these shares of the maximum a pixel is surely, or probably, of the object.
    ground : float
        Below this share it is surely ground.

    Returns
    -------
    ndarray
        (H, W) uint8; all ground where the map is zero everywhere.

    Examples
    --------
    >>> seed_hints([[0.0, 0.2, 0.8, 2.0]]).tolist()
    [[0, 2, 3, 1]]
    """
    values = np.asarray(heat)
    share = values / max(float(values.max()), 1e-30)
    levels = np.array([NOT, UNLIKELY, LIKELY, SURELY], np.uint8)
    found: NDArray[np.uint8] = levels[
        (share >= ground).astype(int) + (share > likely) + (share > surely)
    ]
    return found
