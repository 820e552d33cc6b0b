from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from handful.evaluation.protocols.hashing import MODELS
from handful.report.hashing import FAMILIES, apart, draw_curve, look_of
from handful.report.hashing_results import Point


def test_every_model_of_the_protocol_has_a_look_of_its_own() -> None:
    known = [model for family in FAMILIES.values() for model in family]
    assert sorted(known) == sorted(MODELS)
    assert len({look_of(model) for model in known}) == len(known)
    # a published mark shows colour and marker alone
    assert len({look_of(model)[:2] for model in known}) == len(known)


@pytest.mark.parametrize("places", [[8], [1, 2], [1, 10, 11, 100], [*range(1, 101)]])
def test_numbers_on_the_axis_keep_their_distance(places: list[int]) -> None:
    kept = apart(places)
    assert kept[0] == places[0]
    assert set(kept) <= set(places)
    width = places[-1] / places[0]
    assert all(b / a >= width**0.05 for a, b in pairwise(kept))


@pytest.mark.parametrize("gap", [False, True])
def test_a_band_never_passes_by_a_point_without_an_interval(gap: bool) -> None:
    points = []
    for bits, value in ((8, 0.25), (16, 0.5), (32, 0.3125)):
        known = {} if gap and bits == 16 else {"map": (value - 0.0625, value + 0.0625)}
        points.append(
            Point("f", "lsh", "d", "b", 10, bits, 2, {"map": value}, known, setup={}, published=())
        )
    axes = Figure().add_subplot()
    draw_curve(axes, "bits", "map", "lsh", points)
    assert np.asarray(axes.lines[0].get_xydata()).tolist() == [[8, 25], [16, 50], [32, 31.25]]
    (drawn,) = axes.collections
    assert isinstance(drawn, LineCollection) is gap
    if gap:
        bars = [np.asarray(bar).tolist() for bar in drawn.get_segments()]
        assert bars == [[[8, 18.75], [8, 31.25]], [[32, 25.0], [32, 37.5]]]
