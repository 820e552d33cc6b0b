from __future__ import annotations

import pytest
import torch

from handful.similarity import nearest_cosine


@pytest.mark.parametrize("tile", [None, 1, 7, 40])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_it_is_the_largest_of_all_cosines(tile: int | None, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    query, support = torch.randn(9, 6, dtype=torch.float64), torch.randn(5, 6).to(dtype)
    truth = [
        max(float(q @ s.double() / (q.norm() * s.double().norm())) for s in support) for q in query
    ]
    found = nearest_cosine(query, support, tile)
    torch.testing.assert_close(found, torch.tensor(truth, dtype=torch.float64), rtol=0, atol=1e-12)


def test_none_and_blank_pixels_resemble_nothing() -> None:
    query = torch.randn(4, 3)
    assert torch.equal(nearest_cosine(query, torch.zeros(0, 3)), torch.zeros(4))
    assert torch.equal(nearest_cosine(torch.zeros(2, 3), torch.ones(2, 3)), torch.zeros(2))
    with pytest.raises(ValueError, match="do not fit"):
        nearest_cosine(query, torch.ones(2, 4))
