from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import label

from handful.methods.masks.separating import separate


def discs(*places: tuple[float, float, float], size: int = 120) -> NDArray[np.bool_]:
    y, x = np.mgrid[:size, :size]
    shown = [(y - row) ** 2 + (x - column) ** 2 < radius**2 for row, column, radius in places]
    found: NDArray[np.bool_] = np.any(shown, axis=0)
    return found


def test_parts_are_those_of_scipy_and_small_ones_are_left_out() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((60, 70)) < 0.3
    parts, count = label(mask, np.ones((3, 3)))
    found = separate(mask)
    assert found.max() == count
    assert np.array_equal(found > 0, mask)
    area = np.bincount(parts.ravel())
    kept = separate(mask, min_area=5)
    assert np.array_equal(kept > 0, mask & (area[parts] >= 5))
    assert sorted(np.unique(kept)) == list(range((area[1:] >= 5).sum() + 1))


def test_touching_discs_are_cut_where_they_meet() -> None:
    mask = discs((60, 40, 16), (60, 68, 16))
    assert separate(mask).max() == 1
    found = separate(mask, typical=np.pi * 16**2)
    assert found.max() == 2
    assert np.array_equal(found > 0, mask)
    y, x = np.nonzero(mask)
    # cut at the line between the middles, within two pixels of it
    left = found[60, 40]
    sure = np.abs(x - 54) > 2
    assert np.array_equal((found[y, x] == left)[sure], (x < 54)[sure])


def test_seven_in_a_cluster_are_seven_and_one_alone_is_one() -> None:
    turn = np.linspace(0, 2 * np.pi, 7)[:6]
    ring = [(60 + 22 * np.sin(a), 60 + 22 * np.cos(a), 12.5) for a in turn]
    assert separate(discs((60, 60, 12.5), *ring), typical=np.pi * 12.5**2).max() == 7
    assert separate(discs((60, 60, 30)), typical=np.pi * 30**2).max() == 1


def test_objects_too_thin_for_a_middle_stay_whole() -> None:
    mask = discs((40, 40, 14))
    mask[100:102, 5:110] = True
    found = separate(mask, typical=np.pi * 14**2)
    assert found.max() == 2
    assert len(np.unique(found[100:102, 5:110])) == 1


def test_the_edge_of_the_picture_cuts_no_object() -> None:
    assert separate(discs((0, 60, 20)), typical=np.pi * 20**2 / 2).max() == 1


@pytest.mark.parametrize("typical", [None, 50.0])
def test_nothing_and_everything(typical: float | None) -> None:
    assert separate(np.zeros((9, 9), bool), typical=typical).max() == 0
    assert (separate(np.ones((9, 9), bool), typical=typical) == 1).all()
