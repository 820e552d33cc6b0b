"""A small Omniglot: three alphabets of 5, 6 and 3 characters, each drawn by four drawers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.data.omniglot import OmniglotSet, read_omniglot

SIZES = {"Abra": 5, "Bebra_(Old)": 6, "Cebra": 3}


@pytest.fixture(scope="session")
def omniglot_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for alphabet, characters in SIZES.items():
        for character in range(1, characters + 1):
            folder = root / f"omniglot-py/images_evaluation/{alphabet}/character{character:02d}"
            folder.mkdir(parents=True)
            for drawer in range(1, 5):
                ink = rng.random((105, 105)) > 0.1
                Image.fromarray(ink).save(folder / f"{character:04d}_{drawer:02d}.png")
    return root


@pytest.fixture(scope="session")
def omniglot(omniglot_root: Path) -> OmniglotSet:
    return read_omniglot(omniglot_root, "evaluation")
