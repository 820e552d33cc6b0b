from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handful.data.class_folders import ClassFolders
from handful.data.retrieval_sets import split_classes
from handful.errors import InputError


def folder(classes: int, seed: int = 0) -> ClassFolders:
    labels = [f"class{i}" for i in range(classes) for _ in range(i % 3 + 1)]
    order = np.random.default_rng(seed).permutation(len(labels))
    paths = tuple(Path(f"{labels[i]}/{i}.jpg") for i in order)
    return ClassFolders(Path(), paths, tuple(labels[i] for i in order))


def test_parts_share_no_class_and_lose_no_image() -> None:
    whole = folder(21)
    parts = split_classes(whole, {"train": 0.5, "validation": 0.25, "test": 0.25}, seed=3)
    assert [len(part.classes) for part in parts.values()] == [10, 6, 5]
    assert list(parts) == ["train", "validation", "test"]
    images = [path for part in parts.values() for path in part.paths]
    assert sorted(images) == sorted(whole.paths)
    classes = [name for part in parts.values() for name in part.classes]
    assert len(classes) == len(set(classes)) == 21
    for part in parts.values():
        where = [whole.paths.index(path) for path in part.paths]
        assert where == sorted(where)


def test_the_draw_is_that_of_the_seed_alone() -> None:
    first = split_classes(folder(20), seed=5)
    shuffled = split_classes(folder(20, seed=9), seed=5)
    assert first["train"].classes == shuffled["train"].classes
    assert first["train"].classes != split_classes(folder(20), seed=6)["train"].classes
    # over many seeds, every class is as likely in either part
    counts = [split_classes(folder(10), seed=s)["test"].classes for s in range(200)]
    share = np.mean(["class0" in classes for classes in counts])
    assert 0.38 < share < 0.62


def test_too_few_classes_and_wrong_shares_are_refused() -> None:
    with pytest.raises(InputError, match="1 classes cannot be split into train, test"):
        split_classes(folder(1))
    with pytest.raises(ValueError, match="of the sum 1"):
        split_classes(folder(9), {"train": 0.5, "test": 0.4})
    with pytest.raises(ValueError, match="above 0"):
        split_classes(folder(9), {"train": 1.0, "test": 0.0})
