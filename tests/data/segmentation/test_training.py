from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.data.segmentation.photos import LabelMaps, SegmentationSet
from handful.data.segmentation.training import training_episodes, training_pairs
from handful.errors import InputError

LABELS = ("ant", "bee", "cow", "dog")


def photos(
    present: NDArray[np.bool_], eligible: NDArray[np.bool_] | None = None
) -> SegmentationSet:
    paths = tuple(f"{i:03d}.jpg" for i in range(len(present)))
    masks = LabelMaps(tuple(Path(path) for path in paths), (1, 2, 3, 4))
    if eligible is None:
        return SegmentationSet("small", Path(), paths, LABELS, present, masks)
    return SegmentationSet("small", Path(), paths, LABELS, present, masks, eligible)


def mixed(seed: int = 0, count: int = 80) -> SegmentationSet:
    rng = np.random.default_rng(seed)
    present = rng.random((count, 4)) < 0.4
    return photos(present, present & (rng.random((count, 4)) < 0.8))


def test_training_leaves_out_every_photo_of_a_test_class_unless_asked() -> None:
    dataset = mixed(count=200)
    pairs = training_pairs(dataset, ["ant", "bee"], 30, seed=0, novel=["dog"])
    (dog,) = dataset.find(["dog"])
    assert all(dataset.eligible[photo, column] for photo, column in pairs)
    assert not any(dataset.present[photo, dog] for photo, _ in pairs)
    assert [sum(c == column for _, c in pairs) for column in (0, 1)] == [30, 30]
    assert len(set(pairs)) == 60
    kept = training_pairs(dataset, ["ant"], 10_000, seed=0, novel=["dog"], keep_novel=True)
    assert [photo for photo, _ in kept] == dataset.of(0).tolist()
    assert any(dataset.present[photo, dog] for photo, _ in kept)
    assert training_pairs(dataset, ["ant", "bee"], 30, seed=0, novel=["dog"]) == pairs
    with pytest.raises(InputError, match="'ant' is a training and a test class"):
        training_pairs(dataset, ["ant"], novel=["ant"])
    always = np.ones((5, 4), bool)
    with pytest.raises(InputError, match="no photo is left that shows 'ant'"):
        training_pairs(photos(always), ["ant"], novel=["dog"])


def test_an_epoch_asks_every_pair_once_and_teaches_from_the_same_list() -> None:
    dataset = mixed(count=200)
    pairs = training_pairs(dataset, ["ant", "bee", "cow"], 25, seed=0, novel=["dog"])
    epoch = training_episodes(dataset, pairs, shots=5, seed=4)
    asked = list(zip(epoch.query.tolist(), epoch.classes[:, 0].tolist(), strict=True))
    assert sorted(asked) == sorted(pairs)
    assert asked != pairs
    for t, column in enumerate(epoch.classes[:, 0].tolist()):
        shown = epoch.support[t, 0].tolist()
        assert len(set(shown)) == 5
        assert {(photo, column) for photo in shown} <= set(pairs)
    other = training_episodes(dataset, pairs, shots=5, seed=5)
    assert not np.array_equal(other.query, epoch.query)
    with pytest.raises(InputError, match="25 photos to train on show 'ant'"):
        training_episodes(dataset, pairs, shots=25)
