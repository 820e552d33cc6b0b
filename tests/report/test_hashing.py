from __future__ import annotations

from itertools import pairwise

import pytest

from handful.evaluation.protocols.hashing import MODELS
from handful.report.hashing import FAMILIES, apart, look_of


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
