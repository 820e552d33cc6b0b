from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.data.retrieval_sets import read_reid_set
from handful.errors import InputError
from handful.evaluation.protocols.reid import measure
from handful.evaluation.protocols.retrieval import measure as measure_retrieval
from handful.methods.encoding import encode_folder
from handful.metrics.accuracy import mean_interval, wilson_interval


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten identities by three cameras, distractors, junk, and a file that is no photo."""
    root = tmp_path_factory.mktemp("market")
    rng = np.random.default_rng(1)
    colour = rng.normal(size=(11, 3))

    def save(folder: str, identity: int, camera: int, number: int) -> None:
        name = f"{identity:04d}" if identity >= 0 else "-1"
        level = 128 + 60 * (colour[identity] + 0.8 * rng.normal(size=3)) * np.ones((8, 4, 3))
        path = root / folder / f"{name}_c{camera}s1_{number:06d}_00.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(level.clip(0, 255).astype(np.uint8)).save(path)

    for identity in range(1, 11):
        save("query", identity, 1, 0)
        for number in range(4):
            save("bounding_box_test", identity, number % 3 + 1, number)
    for number in range(15):
        save("bounding_box_test", 0, number % 3 + 1, number)
        save("bounding_box_test", -1, number % 3 + 1, number)
    (root / "bounding_box_test/0001_c2s1_000099_00.png").write_bytes(b"no photo")
    return root


def test_agrees_with_a_loop_over_the_queries(mean_colour: Any, market: Path) -> None:
    result = measure(mean_colour(), read_reid_set(market, "market"), "market")
    images = read_reid_set(market, "market").images
    encoded = encode_folder(mean_colour(), images)
    names = [Path(name) for name in encoded.folder.names]
    features = encoded.features.numpy().astype(np.float64)
    first, precisions = [], []
    gallery = [i for i, name in enumerate(names) if name.parent.name == "bounding_box_test"]
    for q, name in enumerate(names):
        if name.parent.name != "query":
            continue
        who, camera = name.name[:4], name.name[6]
        kept = [g for g in gallery if names[g].name[:4] != who or names[g].name[6] != camera]
        order = sorted(kept, key=lambda g: -float(features[q] @ features[g]))
        hits = np.array([names[g].name[:4] == who for g in order])
        first.append(bool(hits[0]))
        precisions.append((np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)).mean())
    metrics = result.metrics
    assert result.n == len(first) == 10
    assert metrics["cmc@1"] == pytest.approx(np.mean(first))
    assert metrics["map"] == pytest.approx(np.mean(precisions))
    assert metrics["interval"] == list(wilson_interval(sum(first), 10))
    assert metrics["map_interval"] == pytest.approx(mean_interval(precisions))
    assert 0 < metrics["cmc@1"] <= metrics["cmc@5"] <= metrics["cmc@10"] <= 1
    assert metrics["map_trapezoid"] != metrics["map"]


def test_the_result_says_what_was_measured(mean_colour: Any, market: Path) -> None:
    value = measure(mean_colour(), read_reid_set(market, "market"), "market")
    printed = value.to_json()
    assert (printed["protocol"], printed["layout"]) == ("reid", "market")
    assert (printed["queries"], printed["identities"], printed["cameras"]) == (10, 10, 3)
    assert (printed["gallery"], printed["junk"]) == (10 * 4 + 15, 15)
    path, why = printed["skipped"][0]
    assert path == "bounding_box_test/0001_c2s1_000099_00.png"
    assert why
    assert printed["published"] == []
    assert np.mean([row["cmc@1"] for row in value.rows]) == printed["metrics"]["cmc@1"]
    average = np.mean([row["average_precision"] for row in value.rows])
    assert average == pytest.approx(printed["metrics"]["map"], abs=1e-6)
    assert {row["query"].split("/")[0] for row in value.rows} == {"query"}


def test_in_folders_it_finds_what_retrieval_finds(mean_colour: Any, photos: Path) -> None:
    images = read_reid_set(photos)
    reid, retrieval = (
        measure(mean_colour(), images),
        measure_retrieval(mean_colour(), images.images),
    )
    assert reid.metrics["cmc@1"] == pytest.approx(retrieval.metrics["recall@1"])
    assert reid.n == retrieval.n
    assert [row["query"] for row in reid.rows] == [row["query"] for row in retrieval.rows]
    assert reid.to_json()["cameras"] is None


def test_only_the_whole_set_stands_beside_published_rows(
    mean_colour: Any, market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from handful.evaluation.protocols import reid

    images = read_reid_set(market, "cuhk03")
    assert measure(mean_colour(), images, "cuhk03").published == []
    monkeypatch.setattr(reid, "_WHOLE", {"cuhk03": 10})
    rows = measure(mean_colour(), images, "cuhk03").published
    assert rows[-1]["model"] == "PCB + mining (SAM)"


def test_nobody_to_find_is_one_line(mean_colour: Any, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "1.png")
    with pytest.raises(InputError, match="no query has another image of its identity to find"):
        measure(mean_colour(), read_reid_set(tmp_path))
    for folder in ("query", "bounding_box_test"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / folder / "0001_c1_1.png")
    with pytest.raises(InputError, match="of its identity by another camera to find"):
        measure(mean_colour(), read_reid_set(tmp_path, "market"), "market")
