from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.errors import InputError
from handful.evaluation import hashing_data
from handful.evaluation.hashing_data import class_numbers, read_split


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, count in {"ant": 6, "bee": 4, "cat": 9}.items():
        for i in range(count):
            path = tmp_path / "zoo" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(1, 255, (4, 5, 3), np.uint8)).save(path)
    return tmp_path / "zoo"


def test_queries_are_drawn_and_the_rest_is_the_database(root: Path) -> None:
    split = read_split("folder", root, 3, seed=1)
    assert [split.queries.labels.count(c) for c in ("ant", "bee", "cat")] == [3, 3, 3]
    assert [split.database.labels.count(c) for c in ("ant", "bee", "cat")] == [3, 1, 6]
    assert not set(split.queries.paths) & set(split.database.paths)
    assert read_split("folder", root, 3, seed=2).queries.paths != split.queries.paths
    with pytest.raises(InputError, match="the class 'bee' has 4 images; with 4 queries"):
        read_split("cifar100", root, 4)


def test_sun_takes_the_large_classes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hashing_data.MORE_THAN, "sun397", 4)
    assert read_split("sun397", root, 1).database.classes == ("ant", "cat")
    monkeypatch.setitem(hashing_data.MORE_THAN, "sun397", 6)
    with pytest.raises(InputError, match="1 classes have more than 6"):
        read_split("sun397", root, 1)


def test_cifar_comes_in_two_parts(root: Path, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (root / "ant").rename(root / "a")
    root.rename(tmp_path / "c/train")
    for name in ("a", "bee"):
        (tmp_path / "c/test" / name).mkdir(parents=True)
        Image.new("RGB", (3, 3)).save(tmp_path / "c/test" / name / "0.png")
    split = read_split("cifar10", tmp_path / "c")
    assert (len(split.database), len(split.queries)) == (19, 2)


def test_class_numbers() -> None:
    assert class_numbers(["x", "z", "x"], ["x", "y", "z"]).tolist() == [0, 2, 0]
