from __future__ import annotations

import torch
from scipy.spatial.distance import cdist

from handful.similarity import cosine


def test_agrees_with_scipy_in_float64() -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(7, 33, dtype=torch.float64, generator=generator)
    support = torch.randn(5, 33, dtype=torch.float64, generator=generator)
    expected = 1 - cdist(query.numpy(), support.numpy(), metric="cosine")
    torch.testing.assert_close(cosine(query, support), torch.from_numpy(expected))


def test_leading_dimensions_are_independent_trials() -> None:
    query, support = torch.randn(4, 3, 8), torch.randn(4, 6, 8)
    scores = cosine(query, support)
    assert scores.shape == (4, 3, 6)
    for trial in range(4):
        torch.testing.assert_close(scores[trial], cosine(query[trial], support[trial]))


def test_blank_feature_scores_zero_with_finite_gradient() -> None:
    blank = torch.zeros(1, 4, requires_grad=True)
    score = cosine(blank, torch.ones(1, 4))
    score.sum().backward()
    assert score.item() == 0
    assert blank.grad is not None
    assert torch.isfinite(blank.grad).all()
