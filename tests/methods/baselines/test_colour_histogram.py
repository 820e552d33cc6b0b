from __future__ import annotations

import cv2
import numpy as np
import torch

from handful.methods import Matcher, class_scores
from handful.methods.baselines.colour_histogram import ColourHistogram


def test_agrees_with_opencv() -> None:
    photos = np.random.default_rng(0).integers(0, 256, (3, 40, 30, 3), dtype=np.uint8)
    photos[1] //= 2
    features = ColourHistogram().encode(list(photos))
    assert features.shape == (3, 512)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(3))
    counts = [cv2.calcHist([p], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3).ravel() for p in photos]
    np.testing.assert_allclose(features**2, np.array(counts) / 1200, atol=1e-6)
    distance = cv2.compareHist(counts[0], counts[1], cv2.HISTCMP_BHATTACHARYYA)
    compared = ColourHistogram().compare(features[:1], features[1:2])
    np.testing.assert_allclose(1 - compared, distance**2, atol=1e-5)


def test_size_and_place_do_not_matter_and_grey_is_a_colour() -> None:
    rng = np.random.default_rng(1)
    photo = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    shuffled = rng.permutation(photo.reshape(-1, 3)).reshape(10, 40, 3)
    grey = photo[..., 0]
    matcher = ColourHistogram()
    features = matcher.encode([photo, shuffled, photo.repeat(2, 0), grey, np.stack([grey] * 3, -1)])
    assert torch.equal(features[0], features[1])
    assert torch.equal(features[0], features[2])
    assert torch.equal(features[3], features[4])
    assert not torch.equal(features[0], features[3])


def test_it_is_a_matcher_with_prototypes() -> None:
    matcher = ColourHistogram()
    assert isinstance(matcher, Matcher)
    red, blue = np.zeros((2, 8, 8, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 255
    mixed = red.copy()
    mixed[:3] = blue[:3]
    features = matcher.encode([mixed, red, red, blue, blue])
    scores = class_scores(matcher, features[:1], features[1:].reshape(2, 2, -1))
    torch.testing.assert_close(scores, torch.tensor([[5 / 8, 3 / 8]]).sqrt())
