from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from handful.similarity import foreground, masked_mean, prototype_similarity
from handful.similarity.prototype import Interaction


def bilinear(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (H, W) with aligned corners, value by value."""
    height, width = mask.shape
    out = torch.zeros(size, dtype=torch.float64)
    for i in range(size[0]):
        for j in range(size[1]):
            y = i * (height - 1) / (size[0] - 1)
            x = j * (width - 1) / (size[1] - 1)
            top, left = min(int(y), height - 2), min(int(x), width - 2)
            for row, share_y in ((top, 1 - (y - top)), (top + 1, y - top)):
                for column, share_x in ((left, 1 - (x - left)), (left + 1, x - left)):
                    out[i, j] += mask[row, column] * share_y * share_x
    return out


def test_kept_pixels_are_those_at_or_above_the_mean_of_the_positive_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(4, 23, 31)
    for mask in masks:
        y, x = (int(torch.randint(0, n, (), generator=generator)) for n in (12, 18))
        mask[y : y + 9, x : x + 11] = 1
    kept, weight = foreground(masks, (8, 10))
    for mask, mine, mine_weight in zip(masks, kept, weight, strict=True):
        truth = bilinear(mask, (8, 10))
        torch.testing.assert_close(mine_weight.double(), truth, rtol=0, atol=1e-5)
        assert torch.equal(mine, truth >= truth[truth > 0].mean() - 1e-6)
        assert 0 < mine.sum() < 40


def test_an_object_between_the_samples_keeps_the_pixel_it_covers_most() -> None:
    mask = torch.zeros(1, 60, 60)
    mask[0, 22:25, 41:43] = 1  # an object of 6 pixels in cell (5, 10) of 15 x 15
    assert foreground(mask, (5, 5))[1].max() < 0.1
    kept, weight = foreground(mask, (5, 5))
    assert kept.sum() == 1
    assert kept[0, 1, 3]  # rows 12 to 23 hold two of its three rows
    assert weight[0, 1, 3] == pytest.approx(4 / 144)


def test_all_and_none() -> None:
    masks = torch.stack([torch.ones(30, 30), torch.zeros(30, 30)])
    kept, weight = foreground(masks.bool(), (7, 7))
    assert kept[0].all()
    assert not kept[1].any()
    assert torch.equal(weight[0], torch.ones(7, 7))
    with pytest.raises(ValueError, match=r"\(30, 30\)"):
        foreground(torch.ones(30, 30), (7, 7))


@pytest.mark.parametrize("weighted", [False, True])
def test_prototypes_are_means_over_kept_pixels(weighted: bool) -> None:
    torch.manual_seed(0)
    features = torch.randn(3, 4, 5, 6, dtype=torch.float64)
    kept, weight = torch.rand(3, 5, 6) > 0.5, torch.rand(3, 5, 6, dtype=torch.float64)
    kept[2] = False
    got = masked_mean(features, kept, weight if weighted else None)
    for k in range(3):
        rows = [
            features[k, :, i, j] * (weight[k, i, j] if weighted else 1)
            for i in range(5)
            for j in range(6)
            if kept[k, i, j]
        ]
        truth = torch.stack(rows).mean(0) if rows else torch.zeros(4, dtype=torch.float64)
        torch.testing.assert_close(got[k], truth, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("interaction", ["sum", "product"])
def test_similarity_is_the_layer_on_the_joined_vector(interaction: Interaction) -> None:
    torch.manual_seed(0)
    query, prototypes = torch.randn(4, 3, 2).double(), torch.randn(5, 4).double()
    weight = torch.randn(8).double()
    got = prototype_similarity(query, prototypes, weight, interaction)
    assert got.shape == (5, 3, 2)
    for k in range(5):
        for i in range(3):
            for j in range(2):
                x = query[:, i, j]
                first = prototypes[k] if interaction == "sum" else prototypes[k] * x
                logit = float(weight @ torch.cat([first, x]))
                assert got[k, i, j].item() == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-12)


@pytest.mark.parametrize("interaction", ["sum", "product"])
def test_gradients_equal_finite_differences(interaction: Interaction) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(*s).double().requires_grad_() for s in ((3, 2, 2), (2, 3), (6,))]
    assert torch.autograd.gradcheck(
        lambda q, p, w: prototype_similarity(q, p, w, interaction), inputs
    )
    kept = torch.rand(2, 3, 3) > 0.4
    features = torch.randn(2, 3, 3, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: masked_mean(x, kept), (features,))


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(4, 2, 2\).*\(1, 3\)"):
        prototype_similarity(torch.zeros(4, 2, 2), torch.zeros(1, 3), torch.zeros(8))
    with pytest.raises(ValueError, match="times"):
        prototype_similarity(
            torch.zeros(4, 2, 2),
            torch.zeros(1, 4),
            torch.zeros(8),
            "times",  # type: ignore[arg-type]
        )
