"""An explanation as pictures: each map over its image, and all of them on one sheet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handful.answers import Explanation
from handful.answers.explanation import AttentionMap
from handful.data.pictures import Picture, batches, name
from handful.files import replacing
from handful.images.draw import fit
from handful.report.page import Section, inline, render

CELL, MARGIN, LABEL = 300, 24, 150
DPI = 100

_TITLES = {"anchor": "anchor", "positive": "like", "negative": "unlike"}
_TEXT, _SOFT = "#1b2330", "#66717f"


def overlay(image: NDArray[np.uint8], found: AttentionMap) -> NDArray[np.uint8]:
    """Lay a map over its picture, in colour where it marks something.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8, the picture that was explained.
    found : AttentionMap
        Its map.

    Returns
    -------
    ndarray
        (H, W, 3) uint8: the picture darkened to grey where the map is 0, blue over green and
        yellow to red where it rises to 1.
    """
    heat = found.resized()
    grey = np.asarray(image, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    ground = 0.35 * image + 0.4 * grey[..., None]
    strength = (0.75 * heat**0.8)[..., None]
    levels = np.rint(255 * heat).astype(np.uint8)
    mixed = (1 - strength) * ground + strength * _colours()[levels]
    # where nothing is marked the picture itself stays, paler in its colours
    return np.asarray(mixed.clip(0, 255), np.uint8)


def grey_map(found: AttentionMap) -> NDArray[np.uint8]:
    """Return a map as a picture of its image's size: (H, W) uint8, 255 where it is 1."""
    return np.rint(255 * found.resized()).astype(np.uint8)


def write_pictures(
    explanation: Explanation,
    folder: str | os.PathLike[str],
    pictures: Sequence[Picture],
    stem: str = "explanation",
) -> dict[str, str | list[str]]:
    """Write the maps, the overlays and the sheet of an explanation as PNG.

    Parameters
    ----------
    explanation : Explanation
        What to show.
    folder : path-like
        Where; created where missing.
    pictures : sequence of images
        The pictures that were explained, in their order.
    stem : str
        What the sheet is called, and the others begin with.

    Returns
    -------
    dict
        ``maps`` and ``overlays``, one path for each picture, and ``overlay``, the sheet.
    """
    folder = Path(folder)
    written: dict[str, list[str]] = {"maps": [], "overlays": []}
    over = []
    images = [image for _, part in batches(pictures) for image in part]
    for number, (image, found) in enumerate(zip(images, explanation, strict=True)):
        over.append(overlay(image, found))
        for kind, value in (("maps", grey_map(found)), ("overlays", over[-1])):
            path = folder / f"{stem}-{number}-{found.role}-{kind[:-1]}.png"
            with replacing(path) as part:
                Image.fromarray(value).save(part)
            written[kind].append(str(path))
    sheet = folder / f"{stem}.png"
    draw(explanation, images, over, sheet, names=map(name, pictures))
    return {**written, "overlay": str(sheet)}


def section(explanation: Explanation, pictures: Sequence[Picture], title: str) -> Section:
    """Return an explanation as a section of a page.

    Parameters
    ----------
    explanation : Explanation
        What to show.
    pictures : sequence of images
        The pictures that were explained, in their order.
    title : str
        The heading.
    """
    images = [image for _, part in batches(pictures) for image in part]
    shown = [
        {
            "caption": heading,
            "image": inline(fit(image, CELL)),
            "overlay": inline(fit(overlay(image, found), CELL)),
        }
        for heading, image, found in zip(_captions(explanation), images, explanation, strict=True)
    ]
    body = render(
        "explanation.html", model=explanation.model, shown=shown, lines=_lines(explanation)
    )
    return Section(title, body)


def draw(
    explanation: Explanation,
    images: Sequence[NDArray[np.uint8]],
    overlays: Sequence[NDArray[np.uint8]],
    path: str | os.PathLike[str],
    names: Iterable[str | None] = (),
) -> None:
    """Write the sheet: the pictures, what is marked in each below, and the figures.

    Parameters
    ----------
    explanation : Explanation
        What to show.
    images, overlays : sequence of ndarray
        (H, W, 3) uint8, one for each picture.
    path : path-like
        The PNG to write.
    names : iterable of (str or None)
        What the pictures are called.
    """
    from matplotlib.figure import Figure

    count = len(images)
    width = max(2 * MARGIN + count * (CELL + MARGIN) - MARGIN, 2 * (CELL + MARGIN) + MARGIN)
    height = 2 * MARGIN + 2 * CELL + LABEL
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    titles = _captions(explanation)
    files = [Path(found).name if found else "" for found in names] or [""] * count
    for column, (image, over) in enumerate(zip(images, overlays, strict=True)):
        left = MARGIN + column * (CELL + MARGIN)
        axes.text(left, 18, titles[column], fontsize=12, color=_TEXT, weight="bold", va="center")
        axes.text(left, 36, _shortened(files[column]), fontsize=8.5, color=_SOFT, va="center")
        for row, picture in enumerate((image, over)):
            top = 48 + row * (CELL + 8)
            axes.imshow(fit(picture, CELL), extent=(left, left + CELL, top + CELL, top))
    for line, text in enumerate(_lines(explanation)):
        y = height - 72 + 20 * line
        axes.text(MARGIN, y, text, fontsize=10 if line else 11, color=_SOFT if line else _TEXT)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    with replacing(path) as part:
        figure.savefig(part, metadata={"Software": None})


def _captions(explanation: Explanation) -> list[str]:
    """Return a heading for each picture: its role, and how alike it is to the anchor."""
    values = {role: iter(explanation.similarity.get(role, ())) for role in ("positive", "negative")}
    titles = []
    for found in explanation:
        value = next(values[found.role], None) if found.role in values else None
        figure = "" if value is None else f"  {value:.2f}"
        titles.append(f"{_TITLES[found.role]}{figure}")
    return titles


def _lines(explanation: Explanation) -> list[str]:
    evidence = explanation.evidence
    what = evidence.of[0].upper() + evidence.of[1:]
    share = f"{100 * evidence.share:.0f} %"
    verb = "falls" if evidence.fall >= 0 else "rises"
    return [
        f"{what}: {evidence.before:.2f}",
        f"Without the {share} marked in the anchor it {verb} by {abs(evidence.fall):.2f},",
        f"without as much elsewhere by {evidence.random_fall:.2f} on average."
        f"  ({explanation.model})",
    ]


def _shortened(text: str, most: int = 44) -> str:
    return text if len(text) <= most else f"…{text[1 - most :]}"


@cache
def _colours() -> NDArray[np.float32]:
    """Return the colour of every level: (256, 3) in [0, 255]."""
    from matplotlib import colormaps

    table: NDArray[np.float32] = np.asarray(colormaps["turbo"](np.arange(256))[:, :3] * 255)
    return table
