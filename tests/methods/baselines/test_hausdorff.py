from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from handful.methods import Matcher, class_scores
from handful.methods.baselines.hausdorff import ModifiedHausdorff


def drawings(count: int, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    pages = np.full((count, 40, 40), 255, np.uint8)
    for page in pages:
        row, column = 20, 20
        for _ in range(60):
            row, column = np.clip(np.array([row, column]) + rng.integers(-2, 3, 2), 4, 34)
            page[row : row + 2, column : column + 2] = 0
    return pages


def test_agrees_with_brute_force() -> None:
    pages = drawings(7)
    matcher = ModifiedHausdorff(size=40)
    features = matcher.encode(list(pages))
    points = [np.argwhere(page == 0) for page in pages]
    points = [p - p.mean(0) for p in points]
    expected = np.empty((3, 4))
    for i in range(3):
        for j in range(4):
            gaps = cdist(points[i], points[3 + j])
            expected[i, j] = -max(gaps.min(0).mean(), gaps.min(1).mean())
    np.testing.assert_allclose(matcher.compare(features[:3], features[3:]), expected, rtol=1e-6)


def test_is_symmetric_zero_on_itself_and_blind_to_the_place() -> None:
    pages = drawings(2)
    moved = np.roll(pages[:1], (3, -2), axis=(1, 2))
    features = ModifiedHausdorff(size=40).encode([*pages, *moved])
    scores = ModifiedHausdorff(size=40).compare(features, features)
    torch.testing.assert_close(scores, scores.T)
    assert scores.diagonal().abs().max() == 0
    assert scores[0, 2].abs() < 1e-6
    assert scores[0, 1] < -0.5


def test_a_page_without_ink_is_farthest() -> None:
    matcher = ModifiedHausdorff(size=40)
    blank = matcher.encode([np.full((40, 40), 255, np.uint8), *drawings(1)])
    scores = matcher.compare(blank, blank)
    assert scores.tolist() == [[0, pytest.approx(-40 * 2**0.5)], [pytest.approx(-40 * 2**0.5), 0]]


def test_the_best_shot_of_a_class_counts() -> None:
    matcher: Matcher = ModifiedHausdorff(size=40)
    features = matcher.encode(list(drawings(5)))
    scores = class_scores(matcher, features[:1], features[1:].reshape(2, 2, 40, 40))
    apart = matcher.compare(features[:1], features[1:])[0]
    assert scores[0].tolist() == [max(apart[:2]), max(apart[2:])]
