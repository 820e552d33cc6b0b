"""Decoding what people have into one plain form, safely.

Every picture that enters handful passes through `read`, every mask through `read_mask`. Files are
not trusted: only the decoders of `FORMATS` are ever started, the size is known before a pixel
is unpacked, and whatever a decoder raises becomes one line that names the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from handful.errors import InputError
from handful.images.tones import to_uint8

ImageLike: TypeAlias = "str | os.PathLike[str] | Image.Image | NDArray[Any]"
"""A picture as a person gives it: a path, a PIL image or an array."""

PIXEL_LIMIT = 178_956_970
"""Pictures of more pixels are refused as decompression bombs; Pillow's own limit holds too."""

# EPS is not among them: Pillow would start Ghostscript for it. MPO comes with JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "AVIF")

_REMEDY = "save it as JPEG or PNG"

# EXIF's orientation -> what makes the stored pixels upright
_UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def read(image: ImageLike, *, at_least: int | None = None) -> NDArray[np.uint8]:
    """Decode a picture to upright RGB.

    The first frame is taken. EXIF rotation is applied, transparency is laid on white, CMYK is
    converted without its profile. Greys of 16 or 32 bits are scaled as `tones.to_uint8` says.

    Parameters
    ----------
    image : path, PIL image or array
        A file of one of `FORMATS`; any PIL image; an array (H, W, 3) or (H, W) of uint8, or
        (H, W) of bool (True is white).
    at_least : int, optional
        A short side, in pixels, that is enough: a larger JPEG is decoded at 1/2, 1/4 or 1/8 of
        its size, never below this, at a fraction of the time. Other sources keep their size.

    Returns
    -------
    ndarray
        (H, W, 3) uint8, RGB, contiguous. It shares memory with `image` where that already was
        such an array.

    Raises
    ------
    InputError
        The file is missing, empty, damaged, too large or no picture; the array has another
        shape or type.

    Examples
    --------
    >>> read(np.array([[True, False]])).tolist()
    [[[255, 255, 255], [0, 0, 0]]]
    """
    if isinstance(image, np.ndarray):
        return _from_array(image)
    with _opened(image) as (picture, name):
        if at_least is not None and not isinstance(image, Image.Image):
            _check_size(picture, name)
            picture.draft(None, (max(1, at_least), max(1, at_least)))
        return np.ascontiguousarray(_upright(_to_rgb(_loaded(picture, name)), picture))


def read_mask(mask: ImageLike) -> NDArray[Any]:
    """Decode a mask and keep its values: palette indices, or grey values of 1 to 32 bits.

    A colour picture whose channels are equal counts as grey; where it is fully transparent the
    value is 0.

    Parameters
    ----------
    mask : path, PIL image or array
        A file in a format without loss, a PIL image, or an array (H, W) of integers or bool.

    Returns
    -------
    ndarray
        (H, W) integers: uint8 (0 and 1 where one bit was stored), uint16 or int32; of an array
        its own type, bool as uint8.

    Raises
    ------
    InputError
        As for `read`; or the mask is a JPEG, is coloured, or holds fractions.

    Examples
    --------
    >>> read_mask(np.array([[True, False]])).tolist()
    [[1, 0]]
    """
    if isinstance(mask, np.ndarray):
        return _single_channel(mask, "the mask array")
    with _opened(mask) as (picture, name):
        if picture.format in ("JPEG", "MPO"):
            raise InputError(f"{name}: JPEG blurs the values of a mask; save it as PNG")
        _loaded(picture, name)
        if picture.mode in ("RGB", "RGBA", "LA"):
            values = _grey_of_colour(np.array(picture.convert("RGBA")), name)
        else:
            values = _single_channel(np.array(picture), name)
        return np.ascontiguousarray(_upright(values, picture))


def size(image: ImageLike) -> tuple[int, int]:
    """Return (height, width) of the upright picture; of a file, only the header is read.

    Examples
    --------
    >>> size(np.zeros((4, 6, 3), np.uint8))
    (4, 6)
    """
    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    with _opened(image) as (picture, _):
        width, height = picture.size
        # Pillow's TIFF reader tells the upright size by itself
        if picture.format != "TIFF" and _orientation(picture) >= 5:
            width, height = height, width
        return height, width


@contextmanager
def _opened(image: str | os.PathLike[str] | Image.Image) -> Iterator[tuple[Image.Image, str]]:
    """Give the picture and its name; whatever fails inside becomes an InputError."""
    name = "the PIL image" if isinstance(image, Image.Image) else str(Path(image))
    try:
        if isinstance(image, Image.Image):
            yield image, getattr(image, "filename", "") or name
        else:
            _check_file(Path(image))
            with Image.open(image, formats=FORMATS) as picture:
                yield picture, name
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{name}: not an image that can be read; {_REMEDY}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{name}: more than {PIXEL_LIMIT:,} pixels; make it smaller") from None
    except MemoryError:
        raise InputError(f"{name}: does not fit into memory; make it smaller") from None
    except Exception as error:  # a decoder given a damaged file may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{name}: damaged or cut short ({reason}); copy it again, or {_REMEDY}"
        ) from error


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: a folder, where an image file is needed")
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise InputError(f"{path}: not a regular file; copy it into one")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: may not be read; change its permissions")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: empty (0 bytes); copy it again")


def _check_size(picture: Image.Image, name: str) -> None:
    width, height = picture.size
    if width * height > PIXEL_LIMIT:
        raise InputError(
            f"{name}: {width} x {height} is more than {PIXEL_LIMIT:,} pixels; make it smaller"
        )
    if width * height == 0:
        raise InputError(f"{name}: has no pixels; {_REMEDY}")


def _loaded(picture: Image.Image, name: str) -> Image.Image:
    _check_size(picture, name)
    picture.load()
    return picture


def _to_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith(("I", "F")):
        grey = to_uint8(np.asarray(picture))
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        # Pillow knows no direct way from premultiplied grey
        straight = picture.convert("LA") if picture.mode == "La" else picture
        rgba = straight.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, rgba)
    return np.array(picture.convert("RGB"))


def _orientation(picture: Image.Image) -> int:
    try:
        value = int(picture.getexif().get(0x0112, 1))
    except Exception:  # damaged EXIF data says nothing about the pixels
        return 1
    return value if value in _UPRIGHT else 1


def _upright(pixels: NDArray[Any], picture: Image.Image) -> NDArray[Any]:
    return _UPRIGHT[_orientation(picture)](pixels)


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    shape = f"an image array of shape {array.shape} and type {array.dtype}"
    if array.size == 0:
        raise InputError(f"{shape} has no pixels")
    if array.dtype == bool and array.ndim == 2:
        array = array.astype(np.uint8) * 255
    if array.dtype != np.uint8:
        raise InputError(f"{shape}: give uint8, such as (255 * array).astype('uint8') of 0..1")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3:
        raise InputError(f"{shape}: give (height, width, 3) RGB or (height, width) grey")
    return np.ascontiguousarray(array)


def _single_channel(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.ndim != 2 or values.size == 0:
        raise InputError(f"{name}: a mask has one value per pixel, this is {values.shape}")
    if values.dtype == bool:
        return values.astype(np.uint8)
    if np.issubdtype(values.dtype, np.integer):
        return values
    whole = values.astype(np.int32) if np.isfinite(values).all() else None
    if whole is None or not np.array_equal(whole, values):
        raise InputError(f"{name}: a mask holds whole numbers, this holds {values.dtype} fractions")
    return whole


def _grey_of_colour(rgba: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    grey: NDArray[np.uint8] = np.where(rgba[..., 3] == 0, 0, rgba[..., 0]).astype(np.uint8)
    seen = rgba[..., 3] > 0
    if (rgba[..., :3][seen] != rgba[..., :1][seen]).any():
        raise InputError(
            f"{name}: a colour picture; a mask needs one channel (grey or palette PNG)"
        )
    return grey
