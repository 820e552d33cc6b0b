from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from handful.data.class_folders import read_class_folders
from handful.errors import InputError
from handful.evaluation.protocols.retrieval import measure
from handful.methods.baselines.nearest_neighbour import NearestNeighbour
from handful.methods.encoding import encode_folder
from handful.metrics import wilson_interval


def test_agrees_with_the_neighbours_of_scikit_learn(mean_colour: Any, photos: Path) -> None:
    folder = read_class_folders(photos)
    result = measure(mean_colour(), folder)
    encoded = encode_folder(mean_colour(), folder)
    labels = np.array(encoded.folder.labels)
    search = NearestNeighbors(n_neighbors=9).fit(encoded.features.numpy())
    found = search.kneighbors(encoded.features.numpy(), return_distance=False)
    # the first neighbour of an image is itself; the lone photo is no query
    right = (labels[found[:, 1:]] == labels[:, None])[labels != "lone"]
    assert result.n == len(right) == 59
    for k in (1, 2, 4, 8):
        assert result.metrics[f"recall@{k}"] == pytest.approx(right[:, :k].any(1).mean())
    assert result.metrics["interval"] == list(wilson_interval(int(right[:, 0].sum()), 59))
    assert 0.3 < result.metrics["map@r"] < result.metrics["recall@1"] < 1


def test_the_result_says_what_was_measured(mean_colour: Any, photos: Path) -> None:
    value = measure(mean_colour(), read_class_folders(photos))
    printed = value.to_json()
    assert (printed["protocol"], printed["model"]) == ("retrieval", "mean-colour")
    assert (printed["classes"], printed["images"], printed["n"]) == (6, 60, 59)
    assert list(printed["metrics"]) == [
        *("recall@1", "recall@2", "recall@4", "recall@8", "interval", "map@r"),
    ]
    assert [path for path, _ in printed["skipped"]] == ["cat/broken.png"]
    assert np.mean([row["recall@1"] for row in value.rows]) == printed["metrics"]["recall@1"]
    assert {row["query"].split("/")[0] for row in value.rows} == {"ant", "bee", "cat", "dog", "eel"}


def test_a_model_that_gives_distances_is_measured_too(photos: Path) -> None:
    metrics = measure(NearestNeighbour(size=8), read_class_folders(photos)).metrics
    assert metrics["recall@1"] <= metrics["recall@8"] <= 1


def test_classes_of_one_photo_each_are_refused(mean_colour: Any, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "1.png")
    with pytest.raises(InputError, match="no class has two images"):
        measure(mean_colour(), read_class_folders(tmp_path))


def test_a_query_does_not_find_its_own_group(mean_colour: Any, photos: Path) -> None:
    """Every photo copied into a burst of two: with the bursts as groups nothing changes."""
    folder = read_class_folders(photos)
    twice = replace(folder, paths=folder.paths * 2, labels=folder.labels * 2)
    bursts = replace(twice, groups=tuple(map(str, folder.paths)) * 2)
    matcher = mean_colour()
    plain, copied, apart = (measure(matcher, f).metrics for f in (folder, twice, bursts))
    assert copied["recall@1"] == 1
    assert apart["recall@1"] == pytest.approx(plain["recall@1"])
    # every place of a result list is there twice
    assert apart["recall@8"] == pytest.approx(
        np.mean([row["recall@4"] for row in measure(matcher, folder).rows])
    )
    assert apart["map@r"] == pytest.approx(plain["map@r"], abs=0.02)
    assert measure(matcher, bursts).settings["groups"] == 60
    assert "groups" not in measure(matcher, folder).settings


def test_classes_of_one_group_each_are_refused(mean_colour: Any, photos: Path) -> None:
    folder = read_class_folders(photos)
    with pytest.raises(InputError, match="no class has two groups of images"):
        measure(mean_colour(), replace(folder, groups=folder.labels))
