"""The model of ``auto``: the majority decides, and few pictures are looked at."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.methods.choice import (
    LOOKED_AT,
    MATTER,
    THINGS,
    UNMASKED,
    choose_model,
    choose_segmenter,
)
from handful.methods.masks.zoom import Zoom

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


def test_large_things_small_things_and_several_have_their_own_segmenter() -> None:
    large, small = Zoom(None, 0.2), Zoom(4.0, 150.0)
    assert choose_segmenter("masks", large)[0] == THINGS
    assert choose_segmenter("masks", small)[0] == MATTER
    assert choose_segmenter("masks", large, classes=2) == (
        MATTER,
        "auto: examples with masks of 2 classes",
    )
    assert choose_segmenter("labels", None)[0] == UNMASKED
    assert "GrabCut made their masks" in choose_segmenter("boxes", large)[1]
