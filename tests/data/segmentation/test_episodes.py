from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.data.segmentation.episodes import (
    SegmentationEpisodes,
    absent_queries,
    sample_episodes,
)
from handful.data.segmentation.photos import LabelMaps, SegmentationSet
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


@pytest.mark.parametrize(("ways", "shots"), [(1, 1), (1, 5), (2, 3), (3, 2)])
def test_episodes_keep_their_rules(ways: int, shots: int) -> None:
    dataset = mixed()
    drawn = sample_episodes(dataset, ["bee", "cow", "dog"], 300, ways, shots, seed=3)
    assert drawn.support.shape == (300, ways, shots)
    for t in range(300):
        used = [int(drawn.query[t]), *drawn.support[t].ravel().tolist()]
        assert len(set(used)) == len(used)
        assert len(set(drawn.classes[t].tolist())) == ways
        assert 0 not in drawn.classes[t]
        assert dataset.eligible[drawn.query[t], drawn.classes[t]].any()
        for column, row in zip(drawn.classes[t], drawn.support[t], strict=True):
            assert dataset.eligible[row, column].all()
    shown = dataset.eligible[drawn.query[:, None], drawn.classes]
    if ways > 1:  # no place is the query's: a method that is blind to classes must not gain by it
        assert np.ptp(shown.mean(0)) < 0.15
    if ways == 1:  # every photo of a class comes to be its query, about equally often
        assert np.bincount(drawn.classes[:, 0], minlength=4).tolist() == [0, 100, 100, 100]
        asked = np.bincount(drawn.query[drawn.classes[:, 0] == 1], minlength=80)
        assert set(np.flatnonzero(asked)) <= set(dataset.of(1).tolist())
        assert asked.max() <= 15


def test_a_seed_says_all_and_fewer_episodes_are_the_first_of_more() -> None:
    dataset = mixed()
    one, two = (sample_episodes(dataset, LABELS, 50, 1, 5, seed=1) for _ in range(2))
    assert np.array_equal(one.support, two.support)
    other = sample_episodes(dataset, LABELS, 50, 1, 5, seed=2)
    assert not np.array_equal(one.query, other.query)
    assert np.array_equal(sample_episodes(dataset, LABELS, 20, 1, 5, 1).query, one.query[:20])


def test_episodes_are_replayed_from_their_file(tmp_path: Path) -> None:
    dataset = mixed()
    drawn = sample_episodes(dataset, ["bee", "dog"], 30, 2, 2, seed=7)
    drawn.save(tmp_path / "e.json")
    value = json.loads((tmp_path / "e.json").read_text())
    assert value["labels"] == ["bee", "dog"]
    loaded = SegmentationEpisodes.load(tmp_path / "e.json")
    assert loaded.seed == 7
    back = loaded.over(dataset)
    for name in ("classes", "support", "query"):
        assert np.array_equal(getattr(back, name), getattr(drawn, name))
    shuffled = dataset.take(np.random.default_rng(0).permutation(80))
    moved = loaded.over(shuffled)
    assert [moved.paths[i] for i in moved.query] == [drawn.paths[i] for i in drawn.query]
    with pytest.raises(InputError, match="an episode names it"):
        loaded.over(dataset.take(np.arange(5)))


def test_files_that_hold_no_episodes_are_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    with pytest.raises(InputError, match="No such file"):
        SegmentationEpisodes.load(path)
    for text, says in (("{", "not JSON"), ("{}", "holds no episodes")):
        path.write_text(text)
        with pytest.raises(InputError, match=says):
            SegmentationEpisodes.load(path)
    sample_episodes(mixed(), LABELS, 2, 1, 1).save(path)
    value = json.loads(path.read_text())
    value["episodes"][0]["support"] = [[value["episodes"][0]["query"]]]
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match="among the examples that teach it"):
        SegmentationEpisodes.load(path)


def test_too_few_photos_or_classes_are_one_clear_line() -> None:
    present = np.zeros((6, 4), bool)
    present[:5, 0] = present[:, 1] = True
    dataset = photos(present)
    assert len(sample_episodes(dataset, ["ant"], 3, 1, 4)) == 3
    with pytest.raises(InputError, match="5 photos show 'ant', but 1 ways of 5 shots"):
        sample_episodes(dataset, ["ant"], 3, 1, 5)
    with pytest.raises(InputError, match="3 ways of 2 classes"):
        sample_episodes(dataset, ["ant", "bee"], 3, 3, 1)
    with pytest.raises(InputError, match="no class 'cat'"):
        sample_episodes(dataset, ["cat"], 3)


def test_absent_queries_show_another_class_and_not_a_pixel_of_the_asked_one() -> None:
    dataset = mixed()
    drawn = sample_episodes(dataset, ["ant", "bee", "cow"], 90, seed=0)
    absent = absent_queries(dataset, drawn, seed=0)
    assert np.array_equal(absent.support, drawn.support)
    for t, column in enumerate(drawn.classes[:, 0].tolist()):
        row = int(absent.query[t])
        assert not dataset.present[row, column]
        others = [c for c in (0, 1, 2) if c != column]
        assert dataset.eligible[row, others].any()
        assert row not in drawn.support[t]
    everywhere = photos(np.ones((9, 4), bool))
    with pytest.raises(InputError, match="no photo of another class is without"):
        absent_queries(everywhere, sample_episodes(everywhere, LABELS, 4))
