from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from handful.errors import InputError
from handful.methods.oslsm import WeightHashing
from handful.report.objects import PALETTE
from handful.report.weight_hashing import copies, draw_hashing


def test_copies_are_the_columns_of_the_matrix() -> None:
    layer = WeightHashing(100, 410, 3)
    places, sources = np.nonzero(layer.dense_weight().numpy()[:, :5])
    found = copies(layer, 5)
    assert [(c.place, c.source) for c in found] == list(
        zip(places.tolist(), sources.tolist(), strict=True)
    )
    assert [c.sign for c in found] == layer.dense_weight().numpy()[places, sources].tolist()


def test_every_copy_is_drawn_in_the_colour_of_its_source(tmp_path: Path) -> None:
    layer = WeightHashing(100, 410, 3)
    draw_hashing(layer, tmp_path / "figure.png", 4)
    pixels = np.asarray(Image.open(tmp_path / "figure.png").convert("RGB")).astype(int)
    # rows through the cells beside their signs: the axes go from 5.6 down to -1.6
    upper, lower = (runs(pixels[round(len(pixels) * (5.6 - y) / 7.2)]) for y in (4.15, 0.15))
    assert upper == [PALETTE[source] for source in range(4)]
    assert lower == [PALETTE[copy.source] for copy in copies(layer, 4)]


def runs(row: np.ndarray) -> list[str]:
    """The palette's colours that a row of pixels crosses at least 20 pixels long."""
    found, start = [], 0
    names = [next((c for c in PALETTE if ImageColor.getrgb(c) == tuple(p)), "") for p in row]
    for x in range(1, len(names) + 1):
        if x == len(names) or names[x] != names[start]:
            if names[start] and x - start >= 20:
                found.append(names[start])
            start = x
    return found


def test_more_inputs_than_colours_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="from 1 to 7"):
        draw_hashing(WeightHashing(100, 410), tmp_path / "figure.png", 8)
    with pytest.raises(InputError, match="from 1 to 3"):
        draw_hashing(WeightHashing(3, 10), tmp_path / "figure.png", 4)
