from __future__ import annotations

import numpy as np
import pytest

from handful.data.annotations import runs
from handful.errors import InputError


def column_by_column(mask: np.ndarray) -> list[int]:
    counts, value = [0], False
    for pixel in mask.T.ravel().tolist():
        if bool(pixel) != value:
            counts.append(0)
            value = not value
        counts[-1] += 1
    return counts


@pytest.mark.parametrize("seed", range(20))
def test_runs_count_pixels_down_the_columns_and_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((int(rng.integers(1, 20)), int(rng.integers(1, 20)))) < rng.random()
    counts = runs.encode(mask)
    assert counts == column_by_column(mask)
    assert runs.unpack(runs.pack(counts)) == counts
    assert np.array_equal(runs.decode(counts, mask.shape), mask)
    assert np.array_equal(runs.decode(runs.pack(counts), mask.shape), mask)


def test_packed_text_is_worked_out_by_hand() -> None:
    # 6 = 0b00110 -> '0' + 6; 40 = 0b01 01000 -> (8 | 32) then 1; 20 = 0b10100 has the sign bit set,
    # so a further 0 follows; the fourth count is its difference to the second: 38 - 40 = -2 = 30
    assert runs.pack([6, 40, 20, 38]) == "6" + "X1" + chr(48 + 52) + "0" + "N"
    assert runs.unpack("6X1d0N") == [6, 40, 20, 38]


# what pycocotools 2.0 packs the mask below into
PYCOCOTOOLS = (
    "kd07X16K4L4M2N2N2N2O0O2O0O2O000O2O000000000001N10001N101N101N2N2N2N3L4L5JY5LcI000l00TO000l0"
    "0TO000m0OSO100n0NRO200S10mN00Nn02RO00Om01SO000l00TO000l00TO000m0OSO100n0NRO200S10mN00Nn02RO"
    "00Om01SO000l00TO000l00TO000m0OSO100n0NRO2000"
)


def test_packed_text_is_pycocotools() -> None:
    y, x = np.mgrid[:50, :70]
    disc = (x - 30) ** 2 + (y - 20) ** 2 < 300
    mask = disc | ((x > 50) & (y > 30) & ((x + y) % 7 < 3))
    assert runs.pack(runs.encode(mask)) == PYCOCOTOOLS
    assert np.array_equal(runs.decode(PYCOCOTOOLS, (50, 70)), mask)


def test_runs_of_another_picture_are_refused() -> None:
    with pytest.raises(InputError, match=r"^a\.json: its runs cover 4 pixels, the image has 3 x 2"):
        runs.decode([1, 3], (2, 3), "a.json")
    with pytest.raises(InputError, match="cut short"):
        runs.unpack("X", "a.json")
    with pytest.raises(InputError, match="no run length"):
        runs.unpack("\x00", "a.json")
