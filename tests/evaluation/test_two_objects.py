from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.data.segmentation.folder import read_folder
from handful.data.segmentation.photos import SegmentationSet
from handful.evaluation.two_objects import draw_cases, object_areas, photos_of_pairs

CLASSES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> SegmentationSet:
    """Columns of up to three classes, each 1 to 9 of 20 wide."""
    root = tmp_path_factory.mktemp("columns")
    rng = np.random.default_rng(3)
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for i in range(30):
        values = np.zeros((12, 20), np.uint8)
        for value in rng.permutation(3)[: rng.integers(1, 4)]:
            left = int(rng.integers(0, 19))
            values[:, left : left + int(rng.integers(1, 9))] = value + 1
        values[0] = 255
        Image.fromarray(values).save(root / f"masks/{i:02d}.png")
        Image.fromarray(np.zeros((12, 20, 3), np.uint8)).save(root / f"images/{i:02d}.png")
    return read_folder(root, CLASSES)


def values_of(photos: SegmentationSet, photo: int) -> np.ndarray:
    path = Path(photos.root) / "masks" / Path(photos.paths[photo]).name
    return np.asarray(Image.open(path))


def test_pairs_are_those_counted_pixel_by_pixel(photos: SegmentationSet) -> None:
    found = photos_of_pairs(photos, [0], [1, 2], share=0.1)
    wanted: dict[tuple[int, int], list[int]] = {}
    for first, second in combinations(range(3), 2):
        for photo in range(len(photos)):
            values = values_of(photos, photo)
            large = [sum(v == c + 1 for v in values.ravel()) > 0.1 * 240 for c in (first, second)]
            if all(large) and first == 0:
                wanted.setdefault((first, second), []).append(photo)
    assert found == wanted
    assert sum(map(len, found.values())) > 5
    areas = object_areas(photos, [0, 1])
    assert (areas[:, 2] == 0).all()
    assert (areas[~photos.present[:, :2].all(1)] == 0).all()


def test_examples_show_one_class_or_teach_both(photos: SegmentationSet) -> None:
    pairs = photos_of_pairs(photos, [0, 1, 2])
    cases, left_out = draw_cases(photos, pairs, "photo", shots=2, draws=3, seed=1)
    assert not left_out
    assert len(cases) == 3 * sum(map(len, pairs.values()))
    for case in cases:
        for own, other, teach in zip(case.pair, case.pair[::-1], case.support, strict=True):
            assert len(set(teach)) == 2
            assert case.query not in teach
            for photo in teach:
                values = values_of(photos, photo)
                assert (values == own + 1).any()
                assert not (values == other + 1).any()
    again, _ = draw_cases(photos, pairs, "photo", shots=2, draws=3, seed=1)
    another, _ = draw_cases(photos, pairs, "photo", shots=2, draws=3, seed=2)
    assert again == cases
    assert another != cases
    swapped, _ = draw_cases(photos, pairs, "mask", shots=2)
    for case in swapped:
        assert case.support[0] == case.support[1]
        assert case.query not in case.support[0]
        assert set(case.support[0]) <= set(pairs[case.pair])


def test_pairs_without_examples_are_counted_and_left_out(photos: SegmentationSet) -> None:
    pairs = photos_of_pairs(photos, [0, 1, 2])
    pair = min(pairs, key=lambda p: len(pairs[p]))
    cases, left_out = draw_cases(photos, pairs, "mask", shots=len(pairs[pair]))
    assert left_out[pair] == len(pairs[pair])
    assert pair not in {case.pair for case in cases}
