"""Groups of strangers, against average linkage done by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from handful.errors import InputError
from handful.methods import grouping
from handful.methods.calibration import Calibration
from handful.methods.grouping import group_alike
from handful.methods.matcher import Image


class Line:
    """Points on a line, scored by their distance."""

    name = "line"
    backbone = "none"

    def __init__(self, calibration: Calibration | None) -> None:
        self.calibration = calibration

    def encode(self, images: Sequence[Image]) -> Tensor:
        raise AssertionError("never asked")

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return -(query - support.T).abs()

    def pool(self, support: Tensor) -> Tensor | None:
        return None


CALIBRATED = Calibration(slope=2.0, offset=2.0, temperature=1.0, reject=0.5, verify=0.4)


def by_hand(points: np.ndarray) -> list[int]:
    """Merge the two groups of largest mean score until it is below the threshold."""
    score = 1 / (1 + np.exp(-(2 - 2 * np.abs(points[:, None] - points[None]))))
    groups = [[i] for i in range(len(points))]
    while len(groups) > 1:
        pairs = [
            (score[np.ix_(groups[i], groups[j])].mean(), i, j)
            for i in range(len(groups))
            for j in range(i)
        ]
        best, i, j = max(pairs)
        if best < 0.4:
            break
        groups[j] += groups.pop(i)
    groups.sort(key=min)
    return [next(n for n, group in enumerate(groups) if i in group) for i in range(len(points))]


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_those_merged_by_hand(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(0, 8, 14)
    features = torch.from_numpy(points)[:, None]
    found = group_alike(Line(CALIBRATED), features)
    assert found == by_hand(points)
    assert 1 < len(set(found)) < 14


def test_numbers_follow_first_appearance() -> None:
    features = torch.tensor([[5.0], [0.0], [5.1], [9.0], [0.1]])
    assert group_alike(Line(CALIBRATED), features) == [0, 1, 0, 2, 1]
    assert group_alike(Line(CALIBRATED), features[:1]) == [0]
    assert group_alike(Line(CALIBRATED), features[:0]) == []


def test_what_cannot_be_grouped_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="line was never calibrated"):
        group_alike(Line(None), torch.zeros(3, 1))
    monkeypatch.setattr(grouping, "MOST", 2)
    with pytest.raises(InputError, match="3 images are too many"):
        group_alike(Line(CALIBRATED), torch.zeros(3, 1))
