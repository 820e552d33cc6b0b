"""Masks as images: which value is which class, read and written.

One picture of one channel says for every pixel what it shows. Palette PNGs count by their indices,
16-bit maps by their values. Without a list of classes any value but 0 is *the object*, so binary
masks (0 and 1, 0 and 255) and maps of instances (0, 1, 2, ...) mean what they look like; with a
list a value is a class's number, and 255 is void: nobody said what is there.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handful.errors import InputError
from handful.files import replacing
from handful.images import ImageLike, read_mask

Mask = NDArray[np.uint8]
"""(H, W) uint8: 1 the object, 0 not, 255 void."""

OBJECT = "object"
"""The name of the only class where a mask says where, not what."""

VALUE_VOID = 255
"""Void, in a mask of numbered classes and in every `Mask`."""


def class_mask(
    values: NDArray[Any], number: int | None, void: Collection[int] = (VALUE_VOID,)
) -> Mask:
    """Return where one class is, in a mask of values.

    Parameters
    ----------
    values : ndarray
        (H, W) integers.
    number : int or None
        The class's value; None: any value but 0 is the object, and nothing is void.
    void : collection of int
        Values that say nothing, where `number` is given.

    Examples
    --------
    >>> class_mask(np.array([[0, 7, 255]]), None).tolist()
    [[0, 1, 1]]
    >>> class_mask(np.array([[0, 7, 255]]), 7).tolist()
    [[0, 1, 255]]
    """
    mask: Mask = (values != 0 if number is None else values == number).astype(np.uint8)
    if number is None:
        return mask
    mask[np.isin(values, [value for value in void if value != number])] = VALUE_VOID
    return mask


def mask_values(
    path: ImageLike, size: tuple[int, int] | None = None, *, empty: bool = True
) -> NDArray[Any]:
    """Read a mask and check it against its photo.

    Parameters
    ----------
    path : path, PIL image or array
        As `handful.images.read_mask` takes it.
    size : (int, int), optional
        Height and width of the photo.
    empty : bool
        Whether a mask without any object is let through.

    Raises
    ------
    InputError
        As `read_mask`; another size than the photo; nothing but 0.
    """
    values = read_mask(path)
    name = path if isinstance(path, str | os.PathLike) else "the mask"
    if size is not None and values.shape != tuple(size):
        raise InputError(
            f"{name}: the mask is {values.shape[1]} x {values.shape[0]}, but its photo"
            f" {size[1]} x {size[0]}; make them of one size"
        )
    if not empty and not values.any():
        raise InputError(f"{name}: the mask is empty; mark the object with values above 0")
    return values


def write_mask(path: str | os.PathLike[str], mask: NDArray[Any]) -> None:
    """Write a binary mask as an 8-bit PNG, 0 and 255.

    Parameters
    ----------
    path : path-like
        A ``.png`` file.
    mask : ndarray
        (H, W), any value but 0 is the object; 255 of a `Mask` (void) is not.
    """
    values = np.asarray(mask)
    there = values if values.dtype == bool else (values != 0) & (values != VALUE_VOID)
    _save(path, there.astype(np.uint8) * 255)


def write_labels(path: str | os.PathLike[str], values: NDArray[Any]) -> None:
    """Write a map of classes or instances: 8-bit PNG, 16-bit PNG or TIFF above 255.

    Parameters
    ----------
    path : path-like
        A ``.png``, ``.tif`` or ``.tiff`` file; TIFF is always 16-bit, as microscopists' programs
        expect a map of labels.
    values : ndarray
        (H, W) integers in [0, 65535].

    Raises
    ------
    InputError
        Another suffix, or values that do not fit.
    """
    numbers = np.asarray(values)
    if numbers.min(initial=0) < 0 or numbers.max(initial=0) > 65535:
        raise InputError(f"{path}: a map of labels holds 0 to 65,535; number the objects so")
    wide = Path(path).suffix.lower() in (".tif", ".tiff") or numbers.max(initial=0) > 255
    _save(path, numbers.astype(np.uint16 if wide else np.uint8))


def _save(path: str | os.PathLike[str], values: NDArray[Any]) -> None:
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".tif", ".tiff"):
        raise InputError(f"{path}: a mask is written as .png or .tif, which lose nothing")
    options = {"compression": "tiff_adobe_deflate"} if suffix != ".png" else {}
    with replacing(path) as part:
        Image.fromarray(values).save(part, **options)
