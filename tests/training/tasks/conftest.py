from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CLASSES = ("red", "green", "blue", "grey")
COLOURS = {"red": (230, 40, 30), "green": (40, 200, 60), "blue": (30, 60, 220), "grey": (128,) * 3}


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of one coloured square each, somewhere on a striped ground."""
    root = tmp_path_factory.mktemp("squares")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    rng = np.random.default_rng(0)
    for number, label in enumerate(CLASSES, 1):
        for photo in range(5):
            pixels = np.tile(rng.integers(90, 180, (1, 96, 3)), (96, 1, 1)).astype(np.uint8)
            mask = np.zeros((96, 96), np.uint8)
            x, y = rng.integers(0, 56, 2)
            pixels[y : y + 40, x : x + 40] = COLOURS[label]
            mask[y : y + 40, x : x + 40] = number
            name = f"{label}{photo}"
            Image.fromarray(pixels).save(root / "images" / f"{name}.png")
            Image.fromarray(mask).save(root / "masks" / f"{name}.png")
    (root / "classes.txt").write_text("\n".join(f"{n} {c}" for n, c in enumerate(CLASSES, 1)))
    return root
