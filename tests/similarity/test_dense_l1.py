"""The nearest pixel in tiles against the sum over all pairs in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from handful.similarity import weighted_l1
from handful.similarity.dense_l1 import nearest_l1


def naive(query: Tensor, support: Tensor, weight: Tensor) -> Tensor:
    gaps = (query.double()[:, None] - support.double()[None]).abs()
    return (gaps * weight.double()).sum(2)


def weights(kind: str, channels: int) -> Tensor:
    drawn = torch.randn(channels)
    return {"mixed": drawn, "negative": -drawn.abs(), "sparse": drawn * (drawn > 0.5)}[kind]


@pytest.mark.parametrize("kind", ["mixed", "negative", "sparse"])
@pytest.mark.parametrize("tile", [None, 1, 700])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_answer_is_that_of_all_pairs(kind: str, tile: int | None, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    query, support = torch.randn(61, 33, dtype=dtype), torch.randn(97, 33, dtype=dtype)
    weight = weights(kind, 33)
    truth = naive(query, support, weight)
    found = nearest_l1(query, support, weight, tile)
    assert torch.equal(found.place, truth.argmax(1))
    torch.testing.assert_close(found.score, truth.amax(1), rtol=1e-13, atol=1e-13)


def test_what_single_precision_cannot_tell_apart_is_told_apart() -> None:
    """The winner is ahead by a hundredth of what single precision resolves."""
    torch.manual_seed(0)
    query = 100 + torch.randn(50, 64, dtype=torch.float64)
    near = query[:1] + 1
    support = torch.cat([near + 1e-8 * torch.rand(40, 64, dtype=torch.float64), near - 2])
    weight = -torch.ones(64)
    truth = naive(query, support, weight)
    in_single = (query.float()[:, None] - support.float()[None]).abs().sum(2).argmin(1)
    assert (in_single != truth.argmax(1)).any()
    assert torch.equal(nearest_l1(query, support, weight).place, truth.argmax(1))


def test_the_first_of_equals_wins() -> None:
    torch.manual_seed(0)
    base = torch.randn(7, 5)
    support = base[[3, 1, 3, 0, 1, 6, 5, 5, 2, 4]]
    weight = torch.randn(5)
    found = nearest_l1(torch.randn(200, 5), support, weight).place
    assert set(found.tolist()) <= {0, 1, 3, 5, 6, 8, 9}
    # equal by the mirror, not by being the same
    mirrored = nearest_l1(
        torch.zeros(1, 2), torch.tensor([[2.0, 0], [0, 1], [1, 0]]), -torch.ones(2)
    )
    assert mirrored.place.tolist() == [1]
    same = nearest_l1(torch.randn(4, 3), torch.ones(9, 3), torch.randn(3))
    assert same.place.tolist() == [0] * 4


def test_weights_of_zero_make_all_equal() -> None:
    found = nearest_l1(torch.randn(3, 4), torch.randn(5, 4), torch.zeros(4))
    assert found.place.tolist() == [0, 0, 0]
    assert found.score.tolist() == [0, 0, 0]


def test_it_agrees_with_the_trained_form() -> None:
    torch.manual_seed(1)
    query, support, weight = torch.randn(20, 16), torch.randn(30, 16), torch.randn(16)
    sums = weighted_l1(query.double(), support.double(), weight.double())
    found = nearest_l1(query, support, weight)
    torch.testing.assert_close(found.score, sums.amax(1))


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"query \(2, 3\), support \(2, 4\)"):
        nearest_l1(torch.ones(2, 3), torch.ones(2, 4), torch.ones(3))
    with pytest.raises(ValueError, match="no support"):
        nearest_l1(torch.ones(2, 3), torch.ones(0, 3), torch.ones(3))
    assert nearest_l1(torch.ones(0, 3), torch.ones(2, 3), torch.ones(3)).place.shape == (0,)
