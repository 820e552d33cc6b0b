from __future__ import annotations

import numpy as np
import torch

from handful.methods import Matcher, class_scores
from handful.methods.baselines.nearest_neighbour import NearestNeighbour


def test_agrees_with_numpy_on_black_and_white_pages() -> None:
    rng = np.random.default_rng(0)
    pages = np.where(rng.random((6, 105, 105)) < 0.1, 0, 255).astype(np.uint8)
    matcher = NearestNeighbour()
    features = matcher.encode(list(pages))
    assert features.shape == (6, 105 * 105)
    gaps = (pages[:2, None].astype(int) - pages[None, 2:]) / 255
    expected = -np.sqrt((gaps**2).sum((2, 3)))
    np.testing.assert_allclose(matcher.compare(features[:2], features[2:]), expected, rtol=1e-6)


def test_an_image_is_at_distance_zero_from_itself_in_a_large_batch() -> None:
    # the matrix-product form of the distance would not give zero here
    pages = np.random.default_rng(0).integers(0, 256, (40, 30, 30), dtype=np.uint8)
    matcher = NearestNeighbour(size=30)
    features = matcher.encode(list(pages))
    assert matcher.compare(features, features).diagonal().abs().max() == 0


def test_leading_dimensions_are_independent_trials() -> None:
    matcher = NearestNeighbour(size=4)
    query, support = torch.rand(5, 1, 16), torch.rand(5, 3, 16)
    scores = matcher.compare(query, support)
    for trial in range(5):
        torch.testing.assert_close(scores[trial], matcher.compare(query[trial], support[trial]))


def test_the_nearest_shot_of_a_class_counts() -> None:
    matcher: Matcher = NearestNeighbour(size=4)
    features = torch.rand(5, 16)
    scores = class_scores(matcher, features[:1], features[1:].reshape(2, 2, 16))
    apart = matcher.compare(features[:1], features[1:])[0]
    assert scores[0].tolist() == [max(apart[:2]), max(apart[2:])]
