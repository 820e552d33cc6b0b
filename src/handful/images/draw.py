"""Drawing on pictures: outlines, captions, and many pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from handful.errors import InputError
from handful.images.transform import resize

Colour: TypeAlias = str | tuple[int, int, int]
"""A CSS name or ``#rrggbb``, or red, green, blue in 0..255."""

_MARGIN = 2


def outline(image: NDArray[np.uint8], colour: Colour, width: int = 3) -> NDArray[np.uint8]:
    """Return a copy with a frame of `width` pixels drawn inside its edge.

    Examples
    --------
    >>> framed = outline(np.zeros((9, 9, 3), np.uint8), "red", 1)
    >>> framed[0, 4].tolist(), framed[4, 4].tolist()
    ([255, 0, 0], [0, 0, 0])
    """
    framed = np.array(image)
    height, across = framed.shape[:2]
    frame = np.ones((height, across), bool)
    frame[width : height - width, width : across - width] = False
    framed[frame] = _rgb(colour)
    return framed


def caption(
    image: NDArray[np.uint8], text: str, colour: Colour = "black", size: int = 12
) -> NDArray[np.uint8]:
    """Return the picture with one line of text on a white strip below it.

    A text wider than the picture is cut and ends in an ellipsis.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8.
    text : str
        One line; Latin, Greek and Cyrillic have letters, other scripts may show boxes.
    colour : colour
        Of the text.
    size : int
        Height of the font, in pixels; the strip is `strip_height(size)` high.

    Examples
    --------
    >>> caption(np.zeros((50, 80, 3), np.uint8), "a cat").shape == (50 + strip_height(12), 80, 3)
    True
    """
    height, width = image.shape[:2]
    sheet = Image.new("RGB", (width, height + strip_height(size)), "white")
    sheet.paste(Image.fromarray(image), (0, 0))
    font = _font(size)
    line = _fitted(" ".join(text.split()), font, width - 2 * _MARGIN)
    ImageDraw.Draw(sheet).text(
        (width / 2, height + _MARGIN), line, fill=_rgb(colour), font=font, anchor="ma"
    )
    return np.array(sheet)


def strip_height(size: int = 12) -> int:
    """Return how many pixels `caption` adds below a picture."""
    return round(1.3 * size) + 2 * _MARGIN


def fit(image: NDArray[np.uint8], cell: int) -> NDArray[np.uint8]:
    """Scale a picture, whole and in proportion, into the middle of a white square of `cell`.

    Examples
    --------
    >>> fit(np.zeros((10, 20, 3), np.uint8), 8)[:, 0, 0].tolist()
    [255, 255, 0, 0, 0, 0, 255, 255]
    """
    height, width = image.shape[:2]
    scale = cell / max(height, width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    square = np.full((cell, cell, 3), 255, np.uint8)
    top, left = (cell - tall) // 2, (cell - wide) // 2
    square[top : top + tall, left : left + wide] = resize(image, (tall, wide))
    return square


def grid(
    images: Sequence[NDArray[np.uint8]],
    columns: int,
    captions: Sequence[str] | None = None,
    colours: Sequence[Colour | None] | None = None,
    cell: int = 105,
    gap: int = 6,
) -> NDArray[np.uint8]:
    """Lay pictures out on one white sheet, row by row.

    Parameters
    ----------
    images : sequence of ndarray
        (H, W, 3) uint8, of any sizes; each is scaled into a square.
    columns : int
        Pictures per row.
    captions : sequence of str, optional
        One line under each.
    colours : sequence of colour or None, optional
        An outline for each; None draws none.
    cell : int
        Side of a square, in pixels.
    gap : int
        Pixels between squares and around the sheet.

    Returns
    -------
    ndarray
        (H, W, 3) uint8.

    Raises
    ------
    InputError
        No image, no column, or a caption or colour too few or too many.

    Examples
    --------
    >>> grid([np.zeros((9, 9, 3), np.uint8)] * 3, columns=2, cell=10, gap=1).shape
    (23, 23, 3)
    """
    count = len(images)
    if count == 0 or columns < 1:
        raise InputError(f"a grid of {count} images in {columns} columns: give 1 or more of each")
    for what, given in (("captions", captions), ("colours", colours)):
        if given is not None and len(given) != count:
            raise InputError(f"{len(given)} {what} for {count} images: give one for each")
    high = cell + (strip_height() if captions is not None else 0)
    rows, columns = -(-count // columns), min(columns, count)
    sheet = np.full((gap + rows * (high + gap), gap + columns * (cell + gap), 3), 255, np.uint8)
    for place, image in enumerate(images):
        square = fit(image, cell)
        colour = colours[place] if colours is not None else None
        if colour is not None:
            square = outline(square, colour)
        if captions is not None:
            square = caption(square, captions[place])
        top = gap + place // columns * (high + gap)
        left = gap + place % columns * (cell + gap)
        sheet[top : top + high, left : left + cell] = square
    return sheet


def _rgb(colour: Colour) -> tuple[int, int, int]:
    if not isinstance(colour, str):
        return colour
    try:
        red, green, blue = ImageColor.getrgb(colour)[:3]
    except ValueError:
        raise InputError(f"colour {colour!r}: give a CSS name or #rrggbb") from None
    return red, green, blue


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return DejaVu Sans, which comes with Matplotlib; Pillow's own font has few letters."""
    found = find_spec("matplotlib")  # finds the folder without the cost of the import
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.exists():
            return ImageFont.truetype(path, size)
    return ImageFont.load_default(size)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
