"""The model of ``auto``: the majority decides, and few pictures are looked at."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.methods.choice import LOOKED_AT, choose_model

DRAWING = np.full((40, 40, 3), 255, np.uint8)
DRAWING[10:30, 18:21] = 0
PHOTO = np.repeat(np.arange(0, 240, 6, dtype=np.uint8)[:, None, None], 40, 1).repeat(3, 2)


@pytest.mark.parametrize(
    ("drawings", "photos", "model"),
    [
        (3, 2, "omniglot-small"),
        (2, 2, "handful-base"),
        (1, 4, "handful-base"),
        (5, 0, "omniglot-small"),
    ],
)
def test_the_majority_decides(drawings: int, photos: int, model: str) -> None:
    pictures = [DRAWING] * drawings + [PHOTO] * photos
    name, reason = choose_model(len(pictures), pictures.__getitem__)
    assert name == model
    assert f" of {drawings + photos} examples" in reason


def test_a_large_support_is_looked_at_evenly() -> None:
    asked: list[int] = []

    def read(place: int) -> NDArray[np.uint8]:
        asked.append(place)
        return DRAWING if place < 700 else PHOTO

    assert choose_model(1000, read)[0] == "omniglot-small"
    assert len(asked) == LOOKED_AT
    assert (asked[0], asked[-1]) == (0, 999)
    assert np.ptp(np.diff(asked)) <= 1


def test_nothing_to_look_at_is_taken_for_photos() -> None:
    assert choose_model(0, [].__getitem__)[0] == "handful-base"
