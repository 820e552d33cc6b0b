"""Fixtures of all tests: the research data, where it is unpacked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Callable[[str], Path]:
    """Give the folder of a data set, or skip the test by name."""

    def find(name: str) -> Path:
        root = os.environ.get("HANDFUL_DATA")
        if not root:
            pytest.skip(f"needs {name}: HANDFUL_DATA is not set")
        folder = Path(root) / name
        if not folder.exists():
            pytest.skip(f"needs {name}: {folder} does not exist")
        return folder

    return find
