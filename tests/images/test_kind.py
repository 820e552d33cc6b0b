"""Drawings against photos: the same strokes as people hand them in, and pictures that are none."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from handful.data.samples import omniglot
from handful.images import read
from handful.images.kind import is_drawing

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def pages() -> list[Pixels]:
    support = omniglot().support
    return [support.read(number) for number in range(len(support))]


def scanned(page: Pixels, rng: np.random.Generator) -> Pixels:
    """A page under a lamp at one side, out of focus, noisy, and saved as JPEG."""
    large = Image.fromarray(page).convert("L").resize((420, 420), Image.Resampling.BICUBIC)
    ink = 1 - np.asarray(large.filter(ImageFilter.GaussianBlur(1.5)), np.float32) / 255
    light = np.linspace(205, 240, 420)[None] + np.linspace(-8, 8, 420)[:, None]
    paper = light - 130 * ink + rng.normal(0, 3, ink.shape)
    tinted = np.stack([paper + 4, paper, paper - 12], -1).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(tinted).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file))


def coloured(page: Pixels) -> Pixels:
    ink = 1 - page.astype(np.float32) / 255
    return (255 - ink * (255 - np.array([20, 40, 160]))).astype(np.uint8)


def small(page: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(page).resize((40, 40), Image.Resampling.BOX))


def test_drawings_in_every_form(pages: list[Pixels]) -> None:
    rng = np.random.default_rng(0)
    forms: dict[str, Callable[[Pixels], Pixels]] = {
        "as it is": lambda page: page,
        "grey": lambda page: page[..., 0],
        "white on black": lambda page: 255 - page,
        "blue ink": coloured,
        "a scan": lambda page: scanned(page, rng),
        "small": small,
    }
    for name, form in forms.items():
        share = np.mean([is_drawing(form(page)) for page in pages])
        assert share >= 0.9, name


def test_natural_textures_are_no_drawings() -> None:
    rng = np.random.default_rng(1)
    for spread in (1, 3, 8, 20):
        field = gaussian_filter(rng.normal(size=(200, 240, 3)), (spread, spread, 0.5))
        stretched = (field - field.min()) / np.ptp(field)
        assert not is_drawing((255 * stretched).astype(np.uint8))


def test_smooth_blobs_on_black_are_no_drawing() -> None:
    # cells under a microscope: a plain ground, but all halftones
    y, x = np.mgrid[:240, :240]
    rng = np.random.default_rng(2)
    light = np.zeros((240, 240))
    for cx, cy, size in zip(*rng.uniform(20, 220, (2, 12)), rng.uniform(5, 9, 12), strict=True):
        light += np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * size**2))
    grey = (200 * light / light.max()).astype(np.uint8)
    assert not is_drawing(np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_page_is_no_drawing(level: int) -> None:
    assert not is_drawing(np.full((50, 70, 3), level, np.uint8))


@pytest.mark.data("caltech66")
def test_photos_of_training_classes(data_root: Callable[[str], Path]) -> None:
    root = data_root("caltech66")
    photos = [path for name in ("accordion", "bonsai", "crayfish", "pigeon", "watch")
              for path in sorted((root / name).iterdir())[:12]]  # fmt: skip
    assert np.mean([is_drawing(read(path)) for path in photos]) <= 0.05
