"""Distortions measured from outside: where each output pixel comes from, read off ramps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, kstest
from torch import Tensor

from handful.training.distort import Hand, koch_affine, quarter_turns

STILL = {
    "rotate": 0.0,
    "shear": 0.0,
    "scale": (1.0, 1.0),
    "aspect": 0.0,
    "shift": 0.0,
    "elastic": 0.0,
    "thickness": 0.0,
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sources(distort: object, n: int, size: int, seed: int) -> np.ndarray:
    """Return where each output pixel comes from, in pixels from the centre, (N, S, S, 2) as x, y.

    A page whose ink is the coordinate is sampled exactly by bilinear interpolation.
    """
    across = torch.linspace(0, 1, size).expand(n, 1, size, size)
    # the same seed draws the same distortion for both coordinates
    parts = [distort(page.contiguous(), seeded(seed)) for page in (across, across.mT)]  # type: ignore[operator]
    return (torch.cat(parts, 1).permute(0, 2, 3, 1).double().numpy() - 0.5) * (size - 1)


def linear_parts(where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return matrices (N, 2, 2) and centres (N, 2) of affine maps."""
    c = where.shape[1] // 2
    columns = [where[:, c, c + 1] - where[:, c, c], where[:, c + 1, c] - where[:, c, c]]
    return np.stack(columns, 2), where[:, c, c]


@pytest.fixture(scope="module")
def measured() -> tuple[np.ndarray, np.ndarray]:
    return linear_parts(sources(koch_affine, 6000, 21, seed=0))


def uniform(values: np.ndarray, low: float, high: float) -> bool:
    reach = 1e-3 * (high - low)
    inside = low - reach <= values.min() and values.max() <= high + reach
    return bool(inside and kstest(values, "uniform", (low, high - low)).pvalue > 1e-3)


def half(share: np.ndarray) -> bool:
    return binomtest(int(share.sum()), len(share), 0.5).pvalue > 1e-3


def test_kochs_shift(measured: tuple[np.ndarray, np.ndarray]) -> None:
    # 2 of 105 pixels are .4 of 21
    for shift in measured[1].T:
        still = np.abs(shift) < 1e-4
        assert half(still)
        assert uniform(shift[~still], -0.4, 0.4)
    still = (np.abs(measured[1]) < 1e-4).astype(int)
    assert abs(np.corrcoef(still.T)[0, 1]) < 0.06


def test_kochs_scale_where_nothing_else_is_drawn(measured: tuple[np.ndarray, np.ndarray]) -> None:
    matrix = measured[0]
    straight = (np.abs(matrix[:, 0, 1]) < 1e-4) & (np.abs(matrix[:, 1, 0]) < 1e-4)
    # neither rotated nor slanted either way: an eighth
    assert binomtest(int(straight.sum()), len(matrix), 1 / 8).pvalue > 1e-3
    for axis in (0, 1):
        scale = 1 / matrix[straight, axis, axis]
        still = np.abs(scale - 1) < 1e-4
        assert half(still)
        assert uniform(scale[~still], 0.8, 1.2)


def test_kochs_shear_where_nothing_else_is_drawn(measured: tuple[np.ndarray, np.ndarray]) -> None:
    matrix = measured[0]
    plain = (np.abs(matrix[:, 0, 0] - 1) < 1e-4) & (np.abs(matrix[:, 1, 1] - 1) < 1e-4)
    assert binomtest(int(plain.sum()), len(matrix), 1 / 8).pvalue > 1e-3
    for shear in (matrix[plain, 0, 1], matrix[plain, 1, 0]):
        still = np.abs(shear) < 1e-4
        assert half(still)
        assert uniform(shear[~still], -0.3, 0.3)


def test_kochs_rotation_where_nothing_else_is_drawn(
    measured: tuple[np.ndarray, np.ndarray],
) -> None:
    matrix = measured[0]
    rigid = np.abs(matrix @ matrix.transpose(0, 2, 1) - np.eye(2)).max((1, 2)) < 1e-4
    assert binomtest(int(rigid.sum()), len(matrix), 1 / 16).pvalue > 1e-3
    angle = np.degrees(np.arctan2(matrix[rigid, 1, 0], matrix[rigid, 0, 0]))
    still = np.abs(angle) < 1e-2
    assert half(still)
    assert uniform(angle[~still], -10, 10)


def test_no_spread_is_no_change() -> None:
    page = torch.rand(4, 1, 24, 24, generator=seeded())
    torch.testing.assert_close(Hand(**STILL)(page, seeded(1)), page, atol=1e-5, rtol=0)


def test_hands_affine_parts_keep_to_their_spread() -> None:
    def matrices(**spread: object) -> tuple[np.ndarray, np.ndarray]:
        return linear_parts(sources(Hand(**{**STILL, **spread}), 400, 25, seed=3))

    eye = np.eye(2)
    matrix, centre = matrices(rotate=30.0)
    angle = np.degrees(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    np.testing.assert_allclose(
        matrix @ matrix.transpose(0, 2, 1), eye[None].repeat(400, 0), atol=1e-4
    )
    assert uniform(angle, -30, 30)
    np.testing.assert_allclose(centre, 0, atol=1e-4)

    matrix, _ = matrices(scale=(0.5, 2.0))
    zoom = -np.log2(matrix[:, 0, 0])
    np.testing.assert_allclose(matrix[:, 0, 0], matrix[:, 1, 1], rtol=1e-4)
    assert uniform(zoom, -1, 1)

    matrix, _ = matrices(aspect=0.3)
    ratio = np.log(matrix[:, 1, 1] / matrix[:, 0, 0]) / 2
    np.testing.assert_allclose(np.linalg.det(matrix), 1, rtol=1e-4)
    assert uniform(ratio, -0.3, 0.3)

    matrix, _ = matrices(shear=0.4)
    assert uniform(matrix[:, 0, 1], -0.4, 0.4)
    np.testing.assert_allclose(matrix[:, 1], eye[[1]].repeat(400, 0), atol=1e-4)

    matrix, centre = matrices(shift=0.1)
    np.testing.assert_allclose(matrix, eye[None].repeat(400, 0), atol=1e-4)
    for shift in centre.T:
        assert uniform(shift / 25, -0.1, 0.1)


def test_elastic_displacement_grows_with_its_spread_and_is_smooth() -> None:
    still = sources(Hand(**STILL), 50, 33, seed=4)[:, 8:25, 8:25]
    bent = [
        sources(Hand(**{**STILL, "elastic": e}), 50, 33, seed=4)[:, 8:25, 8:25] - still
        for e in (0.02, 0.04)
    ]
    np.testing.assert_allclose(bent[1], 2 * bent[0], atol=2e-3)
    # of a mean of half the spread at 3x3 points, and less at finer ones, in half sides
    size = np.sqrt((bent[1] ** 2).mean())
    assert 0.2 * 0.04 * 16.5 < size < 1.5 * 0.04 * 16.5
    steps = np.abs(np.diff(bent[1], axis=2))
    assert steps.max() < 0.35 * np.abs(bent[1]).max()


def test_thickness_thickens_a_third_and_thins_a_quarter() -> None:
    page = torch.zeros(3000, 1, 11, 11)
    page[:, :, 3:8, 4:7] = 1
    drawn = Hand(**{**STILL, "thickness": 1.0})(page, seeded(5)).sum((1, 2, 3))
    plain = float(page[0].sum())
    thicker, thinner = drawn > plain + 1e-3, drawn < plain - 1e-3
    assert binomtest(int(thicker.sum()), 3000, 0.35).pvalue > 1e-3
    assert binomtest(int(thinner.sum()), 3000, 0.25).pvalue > 1e-3
    # at most .9 of the ring of one pixel around 5x3 pixels, at least .4 of those inside
    assert drawn.max() <= plain + 0.9 * (7 * 5 - 15) + 1e-3
    assert drawn.min() >= plain - 0.6 * (15 - 3) - 1e-3


@pytest.mark.parametrize("distort", [koch_affine, Hand()], ids=["koch", "hand"])
def test_chance_comes_from_the_generator_alone(distort: object) -> None:
    page = torch.rand(6, 1, 15, 15, generator=seeded())

    def draw(seed: int) -> Tensor:
        return distort(page, seeded(seed))  # type: ignore[operator]

    torch.manual_seed(1)
    first = draw(1)
    torch.manual_seed(2)
    assert torch.equal(first, draw(1))
    assert not torch.equal(first, draw(2))
    assert ((first >= 0) & (first <= 1)).all()
    assert first.shape == page.shape


@pytest.mark.parametrize("size", [6, 7])
def test_quarter_turns_are_numpys(size: int) -> None:
    pages = torch.rand(8, 1, size, size, generator=seeded())
    before = pages.clone()
    turned = quarter_turns(pages, torch.arange(8))
    assert torch.equal(pages, before)
    for turn in range(8):
        page = before[turn, 0].numpy()
        expected = np.rot90(np.fliplr(page) if turn >= 4 else page, turn % 4)
        np.testing.assert_array_equal(turned[turn, 0].numpy(), expected)
    # a batch is turned image by image
    mixed = quarter_turns(before[:3], torch.tensor([2, 5, 2]))
    np.testing.assert_array_equal(mixed[2, 0], np.rot90(before[2, 0].numpy(), 2))
