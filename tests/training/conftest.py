"""A small Omniglot of four alphabets: six characters each, random strokes, by four hands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from handful.training.characters import Characters

ALPHABETS = ("Abra", "Bebra", "Cebra", "Debra")
CHARACTERS, DRAWERS = 6, 4


@pytest.fixture(scope="session")
def background_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("omniglot-py")
    rng = np.random.default_rng(0)
    for alphabet in ALPHABETS:
        for character in range(1, CHARACTERS + 1):
            folder = root / f"images_background/{alphabet}/character{character:02d}"
            folder.mkdir(parents=True)
            stroke = rng.uniform(15, 90, (5, 2))
            for drawer in range(1, DRAWERS + 1):
                page = Image.new("1", (105, 105), 1)
                hand = stroke + rng.normal(0, 3, stroke.shape)
                ImageDraw.Draw(page).line([*map(tuple, hand)], fill=0, width=3)
                page.save(folder / f"{character:04d}_{drawer:02d}.png")
    return root


@pytest.fixture(scope="session")
def characters() -> Characters:
    """Alphabets of 5, 12, 20 and 23 characters by six hands; pixels tell character and hand."""
    sizes = [5, 12, 20, 23]
    images = np.zeros((sum(sizes), 6, 4, 4), np.uint8)
    images[..., 0, 0] = np.arange(sum(sizes))[:, None]
    images[..., 0, 1] = np.arange(6)
    return Characters(images, np.repeat(np.arange(4), sizes))


@pytest.fixture(scope="session")
def coats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten individuals, each a coat of stripes of its own width, seen in changing light."""
    root = tmp_path_factory.mktemp("coats")
    rng = np.random.default_rng(0)
    for number in range(10):
        (root / f"coat{number}").mkdir()
        for photo in range(4):
            x = np.arange(64) + rng.uniform(0, 20)
            stripes = np.sin(x / (1 + 0.6 * number))[None, :, None] * np.ones((64, 1, 3))
            light = rng.uniform(0.4, 1.0, 3)
            pixels = 127 * light * (1 + 0.8 * stripes) + rng.normal(0, 4, (64, 64, 3))
            page = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            page.save(root / f"coat{number}" / f"{photo}.png")
    return root
