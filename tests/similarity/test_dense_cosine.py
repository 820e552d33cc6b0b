from __future__ import annotations

import pytest
import torch
from torch import Tensor

from handful.similarity import dense_cosine


def naive(query: Tensor, support: Tensor) -> Tensor:
    """Equation 5 pixel by pixel."""
    out = query.new_zeros(len(query))
    for q in range(len(query)):
        for s in range(len(support)):
            cosine = (query[q] @ support[s]) / (query[q].norm() * support[s].norm())
            out[q] = out[q] + cosine.clamp_min(0) / len(support)
    return out


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("tile", [1, 7, 40, 10_000])
def test_values_and_gradients_equal_the_naive_form(tile: int) -> None:
    torch.manual_seed(tile)
    inputs = draw(9, 6), draw(5, 6)
    twin = [x.detach().clone().requires_grad_() for x in inputs]
    upstream = torch.randn(9, dtype=torch.float64)
    got, expected = dense_cosine(*inputs, tile=tile), naive(*twin)
    torch.testing.assert_close(got, expected, rtol=1e-13, atol=1e-13)
    got.backward(upstream)
    expected.backward(upstream)
    for mine, other in zip(inputs, twin, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-12, atol=1e-12)


def test_gradients_equal_finite_differences() -> None:
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(
        lambda q, s: dense_cosine(q, s, tile=10), (draw(6, 4), draw(5, 4)), eps=1e-7
    )


def test_maps_in_either_layout_agree() -> None:
    torch.manual_seed(0)
    query, support = torch.randn(8, 30, dtype=torch.float64), torch.randn(5, 8).double()
    torch.testing.assert_close(
        dense_cosine(query.mT, support), dense_cosine(query.mT.contiguous(), support)
    )


def test_no_foreground_and_blank_pixels_resemble_nothing() -> None:
    query = torch.randn(4, 3, requires_grad=True)
    assert torch.equal(dense_cosine(query, torch.zeros(0, 3)), torch.zeros(4))
    blank = torch.zeros(2, 3, requires_grad=True)
    found = dense_cosine(blank, torch.ones(2, 3))
    found.sum().backward()
    assert torch.equal(found, torch.zeros(2))
    assert blank.grad is not None
    assert torch.isfinite(blank.grad).all()


def test_half_precision_support_meets_a_single_precision_query() -> None:
    torch.manual_seed(0)
    query, support = torch.randn(20, 64), torch.randn(7, 64)
    found = dense_cosine(query, support.half())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, dense_cosine(query, support), rtol=0, atol=1e-3)


def test_memory_stays_bounded_in_both_directions() -> None:
    # 2,048 x 2,048 cosines would be 16 MiB; the features are 128 KiB each
    query = torch.randn(2048, 16, requires_grad=True)
    support = torch.randn(2048, 16, requires_grad=True)
    with torch.profiler.profile(profile_memory=True) as profile:
        dense_cosine(query, support, tile=1 << 15).sum().backward()
    largest = max(
        event.self_cpu_memory_usage / max(event.count, 1) for event in profile.key_averages()
    )
    assert 0 < largest <= 1 << 18


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        dense_cosine(torch.zeros(2, 3), torch.zeros(2, 4))
