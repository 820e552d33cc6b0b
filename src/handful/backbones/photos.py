"""From a decoded photo to the input of a backbone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from handful.backbones.embedder import Box, Image, NetworkEmbedder, whole
from handful.backbones.features import Embedding, FeatureMaps
from handful.errors import InputError
from handful.images import center_crop, resize, resize_short

Fit = Literal["squash", "crop"]

Size: TypeAlias = int | tuple[int, int]
"""The side of a square, or height and width, in pixels."""

# more at once is slower on a CPU: maps of early layers leave the cache
BATCH = 16


def preparation(
    backbone: FeatureMaps, size: Size = 192, fit: Fit = "squash"
) -> Callable[[Image], NDArray[np.float32]]:
    """Return what turns a decoded photo into the input of a backbone.

    Parameters
    ----------
    backbone : FeatureMaps
        Says how pixels are normalised.
    size : int or (int, int)
        Side of the square in pixels, or height and width.
    fit : {"squash", "crop"}
        ``squash`` resizes both sides, which keeps everything in sight; ``crop`` resizes the
        short side and cuts the middle square, which keeps proportions.

    Returns
    -------
    callable
        (H, W, 3) or (H, W) uint8 -> (3, height, width) float32.

    Raises
    ------
    InputError
        The backbone takes another size alone, or no such fit.

    Notes
    -----
    On classes held back from every test the two are alike at 160 to 224 pixels: the cut square
    is better where objects stand in the middle, as in Caltech-101, and worse where they do not.
    Squashing never loses what a person pointed the camera at, so it is the default.

    Examples
    --------
    >>> from handful.backbones.handful_base import HandfulBase
    >>> prepare = preparation(HandfulBase(), size=64)
    >>> prepare(np.zeros((90, 120, 3), np.uint8)).shape
    (3, 64, 64)
    """
    height, width = (size, size) if isinstance(size, int) else size
    if backbone.fixed_size is not None and (height, width) != (backbone.fixed_size,) * 2:
        raise InputError(
            f"{backbone.name}: takes photos of {backbone.fixed_size} pixels, not {size}"
        )
    if min(height, width) < 32:
        raise InputError(f"a size of {size} pixels is too small: give 32 or more")
    if fit not in get_args(Fit):
        raise InputError(f"fit {fit!r}: is one of {', '.join(get_args(Fit))}")
    if fit == "crop" and height != width:
        raise InputError(f"fit 'crop' cuts squares, not {height} x {width} pixels: squash instead")
    mean = np.array(backbone.mean, np.float32) * 255
    factor = 1 / (np.array(backbone.std, np.float32) * 255)

    def prepare(image: Image) -> NDArray[np.float32]:
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        square = (
            resize(image, (height, width))
            if fit == "squash"
            else center_crop(resize_short(image, height), (height, width))
        )
        planes = ((square - mean) * factor).transpose(2, 0, 1)
        return np.ascontiguousarray(planes, np.float32)

    return prepare


def photo_embedder_of(
    backbone: FeatureMaps, size: int = 192, device: str = "cpu", fit: Fit = "squash"
) -> NetworkEmbedder:
    """Embed decoded photos by any backbone.

    Parameters
    ----------
    backbone : FeatureMaps
        With its weights loaded; a network of a fixed size is given that size.
    size : int
        Side of the network's input in pixels.
    device : str
        Where it runs.
    fit : {"squash", "crop"}
        See `preparation`.

    Returns
    -------
    NetworkEmbedder
        Gives unit vectors (N, features).
    """
    prepare = preparation(backbone, backbone.fixed_size or size, fit)
    place = whole if fit == "squash" else _middle
    embedder = NetworkEmbedder(Embedding(backbone), prepare, backbone.name, device, BATCH, place)
    embedder.side = backbone.fixed_size or size
    return embedder


def _middle(image: Image) -> Box:
    """Return the box of the square in the middle."""
    height, width = image.shape[:2]
    side = min(height, width)
    return (width - side) / 2, (height - side) / 2, float(side), float(side)
