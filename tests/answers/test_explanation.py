"""Maps brought to the size of their picture, and what an explanation says."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch.nn.functional import interpolate

from handful.answers import AttentionMap, Evidence, Explanation

RNG = np.random.default_rng(0)
GRID = RNG.random((3, 4)).astype(np.float32)


def test_a_map_over_the_whole_picture_is_bilinear() -> None:
    found = AttentionMap(None, "anchor", GRID, (31, 50), (0, 0, 50, 31)).resized()
    expected = interpolate(torch.from_numpy(GRID)[None, None], (31, 50), mode="bilinear")[0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_a_map_of_a_part_lies_there_and_nowhere_else() -> None:
    found = AttentionMap(None, "anchor", GRID, (40, 60), (10, 5, 24, 30)).resized()
    expected = interpolate(torch.from_numpy(GRID)[None, None], (30, 24), mode="bilinear")[0, 0]
    np.testing.assert_allclose(found[5:35, 10:34], expected, atol=1e-6)
    outside = found.copy()
    outside[5:35, 10:34] = 0
    assert not outside.any()


def test_a_box_over_the_edge_is_cut_off() -> None:
    found = AttentionMap(None, "anchor", GRID, (30, 20), (-6, -4, 24, 30)).resized()
    expected = interpolate(torch.from_numpy(GRID)[None, None], (30, 24), mode="bilinear")[0, 0]
    np.testing.assert_allclose(found[:26, :18], expected[4:, 6:], atol=1e-6)


def test_evidence() -> None:
    found = Evidence("similarity", 0.2, 0.9, 0.5, (0.9, 0.7))
    assert (round(found.fall, 9), round(found.random_fall, 9)) == (0.4, 0.1)
    assert found.ratio is not None
    assert round(found.ratio, 6) == 4
    assert Evidence("similarity", 0.2, 0.9, 0.5, (0.95,)).ratio is None


def test_the_answer_is_plain_json() -> None:
    maps = tuple(
        AttentionMap(f"{role}.png", role, GRID, (4, 4), (0, 0, 4, 4))
        for role in ("anchor", "positive")
    )
    evidence = Evidence("similarity", 0.2, 0.9, 0.5, (0.8, 0.8))
    found = Explanation(maps, {"positive": [0.9], "negative": []}, evidence, "m", "b")
    value = json.loads(json.dumps(found.to_json()))
    assert value["images"] == ["anchor.png", "positive.png"]
    assert value["roles"] == ["anchor", "positive"]
    assert value["evidence"]["draws"] == 2
    assert (len(found), found[1].role, found.anchor.role) == (2, "positive", "anchor")
