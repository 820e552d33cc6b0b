from __future__ import annotations

import pytest
import torch
from torch import Tensor

from handful.similarity import weighted_l1


def naive(query: Tensor, support: Tensor, weight: Tensor) -> Tensor:
    return ((query[..., :, None, :] - support[..., None, :, :]).abs() * weight).sum(-1)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("tile", [1, 13, 100, 10_000])
def test_values_and_gradients_equal_the_naive_form(tile: int) -> None:
    torch.manual_seed(tile)
    inputs = draw(7, 13), draw(5, 13), draw(13)
    twin = [x.detach().clone().requires_grad_() for x in inputs]
    upstream = torch.randn(7, 5, dtype=torch.float64)
    got, expected = weighted_l1(*inputs, tile=tile), naive(*twin)
    torch.testing.assert_close(got, expected, rtol=1e-13, atol=1e-13)
    got.backward(upstream)
    expected.backward(upstream)
    for mine, other in zip(inputs, twin, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-12, atol=1e-12)


def test_leading_dimensions_are_independent_trials() -> None:
    torch.manual_seed(1)
    query, support, weight = draw(3, 2, 4, 9), draw(3, 2, 5, 9), draw(9)
    got = weighted_l1(query, support, weight, tile=50)
    torch.testing.assert_close(got, naive(query, support, weight))
    assert torch.autograd.gradcheck(
        lambda *x: weighted_l1(*x, tile=50), (query, support, weight), eps=1e-7
    )


def test_memory_stays_bounded_in_both_directions() -> None:
    # 256 x 256 x 512 differences would be 33 M elements; the largest tensor must stay near a tile
    query = torch.randn(256, 512, requires_grad=True)
    support = torch.randn(256, 512, requires_grad=True)
    weight = torch.randn(512, requires_grad=True)
    with torch.profiler.profile(profile_memory=True) as profile:
        weighted_l1(query, support, weight, tile=1 << 16).sum().backward()
    largest = max(
        event.self_cpu_memory_usage / max(event.count, 1) for event in profile.key_averages()
    )
    assert largest < 4 * (1 << 19)


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        weighted_l1(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(3))
