from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from handful.errors import InputError
from handful.methods.masks.refining import box_mask, guided_filter, refine_masks


def photo() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A disc on a ground of another colour, with a little noise."""
    y, x = np.mgrid[:96, :128]
    disc = (y - 50) ** 2 + (x - 60) ** 2 < 30**2
    picture = np.where(disc[..., None], (200, 80, 60), (60, 120, 70))
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return (picture + noise).clip(0, 255).astype(np.uint8), disc


def coarse(disc: NDArray[np.bool_]) -> torch.Tensor:
    """The disc as a network of stride 16 would see it."""
    return torch.nn.functional.avg_pool2d(torch.from_numpy(disc).float()[None], 16)


def iou(soft: torch.Tensor, truth: NDArray[np.bool_]) -> float:
    found = soft[0].numpy() >= 0.5
    return float((found & truth).sum() / (found | truth).sum())


@pytest.mark.parametrize(("how", "least"), [("edges", 0.95), ("grabcut", 0.97)])
def test_edges_are_found(how: str, least: float) -> None:
    picture, disc = photo()
    soft = coarse(disc)
    plain = torch.nn.functional.interpolate(soft[None], disc.shape, mode="bilinear")[0]
    refined = refine_masks(soft, picture, how)  # type: ignore[arg-type]
    assert refined.shape == (1, 96, 128)
    assert iou(refined, disc) > max(least, iou(plain, disc))


def test_the_guided_filter_equals_the_equations_in_float64() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (12, 11, 3)).astype(np.uint8)
    mask = rng.random((1, 12, 11)).astype(np.float32)
    radius, smooth = 2, 1e-2
    guide, slopes, offsets = picture / 255.0, np.zeros((12, 11, 3)), np.zeros((12, 11))
    wide = np.pad(guide, ((4, 4), (4, 4), (0, 0)), "symmetric")
    soft = np.pad(mask[0].astype(np.float64), 4, "symmetric")
    for row in range(12):
        for column in range(11):
            part = np.s_[row + 2 : row + 7, column + 2 : column + 7]
            colours, values = wide[part].reshape(-1, 3), soft[part].ravel()
            spread = np.cov(colours.T, bias=True) + smooth * np.eye(3)
            both = (colours * values[:, None]).mean(0) - colours.mean(0) * values.mean()
            slopes[row, column] = np.linalg.solve(spread, both)
            offsets[row, column] = values.mean() - slopes[row, column] @ colours.mean(0)
    inner = np.s_[2:-2, 2:-2]  # windows that do not reach over the edge
    expected = np.zeros((12, 11))
    for row in range(2, 10):
        for column in range(2, 9):
            part = np.s_[row - 2 : row + 3, column - 2 : column + 3]
            mean = slopes[part].reshape(-1, 3).mean(0)
            expected[row, column] = mean @ guide[row, column] + offsets[part].mean()
    found = guided_filter(picture, mask, radius, smooth)[0]
    assert np.allclose(found[inner], expected.clip(0, 1)[inner], atol=2e-4)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("how", ["edges", "grabcut"])
def test_nothing_and_everything_stay(how: str, value: float) -> None:
    picture, _ = photo()
    refined = refine_masks(torch.full((1, 6, 8), value), picture, how)  # type: ignore[arg-type]
    assert torch.allclose(refined, torch.full_like(refined, value), atol=1e-4)


def test_a_box_becomes_the_object_in_it() -> None:
    picture, disc = photo()
    found = box_mask(picture, (25, 15, 75, 75)) > 0
    assert (found & disc).sum() / (found | disc).sum() > 0.95
    plain = np.full((40, 50, 3), 90, np.uint8)
    assert box_mask(plain, (10, 5, 20, 30)).sum() > 0
    with pytest.raises(InputError, match="outside"):
        box_mask(picture, (500, 0, 10, 10))
