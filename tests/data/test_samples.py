"""The bundled sample: as its README says, and the very files of the data set."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handful.data.manifest import read_manifest
from handful.data.samples import cells, nuclei, omniglot
from handful.data.samples.draw import draw, draw_cells, draw_nuclei
from handful.images import read


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.suffix in (".png", ".csv")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_layout_and_truth() -> None:
    sample = omniglot()
    assert Counter(sample.support.labels) == dict.fromkeys(sample.support.classes, 1)
    counts = Counter(query.label for query in sample.queries)
    assert counts.pop(None) == 6
    assert counts == dict.fromkeys(sample.support.classes, 2)
    assert {query.path.name for query in sample.queries} == {
        path.name for path in (sample.folder / "query").iterdir()
    }
    assert "Brenden Lake" in (sample.folder / "LICENSE").read_text()


def test_no_drawing_is_there_twice() -> None:
    sample = omniglot()
    images = [*map(sample.support.read, range(20)), *(read(q.path) for q in sample.queries)]
    assert {image.shape for image in images} == {(105, 105, 3)}
    assert len({image.tobytes() for image in images}) == 66


def test_every_query_is_by_another_drawer_than_the_example() -> None:
    sample = omniglot()
    drawer = {
        label: Path(str(sample.support.images[places[0]])).stem.split("_")[1]
        for label, places in sample.support.by_class().items()
    }
    with (sample.folder / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            alphabet, character = row["source"].split("/")[1:3]
            if row["label"]:
                assert row["label"] == f"{alphabet}-{character.removeprefix('character')}"
                assert Path(row["source"]).stem.split("_")[1] != drawer[row["label"]]
            else:
                assert alphabet not in {label.split("-")[0] for label in drawer}


@pytest.mark.data("omniglot-py")
def test_drawn_again_it_is_the_same(data_root: Callable[[str], Path], tmp_path: Path) -> None:
    draw(data_root("omniglot-py"), tmp_path)
    assert files(tmp_path) == files(omniglot().folder)


@pytest.mark.data("omniglot-py")
def test_it_holds_evaluation_characters_alone(data_root: Callable[[str], Path]) -> None:
    root = data_root("omniglot-py")
    background = {folder.name for folder in (root / "images_background").iterdir()}
    with (omniglot().folder / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert row["source"].split("/")[1] not in background
            source, query = read(root / row["source"]), omniglot().folder / "query" / row["image"]
            np.testing.assert_array_equal(source, read(query))


def test_cells_are_named_from_other_photos() -> None:
    sample = cells()
    assert Counter(sample.support.labels) == {"RBC": 3, "WBC": 3, "Platelets": 3}
    rows = read_manifest(sample.folder / "support.csv")
    examples, queries = {row.path for row in rows}, {row.path for row in sample.queries}
    assert (len(examples), len(queries)) == (3, 9)
    assert not examples & queries
    assert examples | queries == set((sample.folder / "images").iterdir())
    assert {row.label for row in sample.queries} == {"RBC", "WBC", "Platelets"}
    assert "shenggan" in (sample.folder / "LICENSE").read_text()


@pytest.mark.data("blood-cells-sample")
def test_cells_drawn_again_are_the_same(data_root: Callable[[str], Path], tmp_path: Path) -> None:
    draw_cells(data_root("blood-cells-sample"), tmp_path)
    found = {path.name: path.read_bytes() for path in tmp_path.rglob("*.*")}
    kept = {path.name: path.read_bytes() for path in cells().folder.rglob("*.*")}
    assert found == {name: kept[name] for name in found}
    assert len(found) == 12 + 2


def test_nuclei_are_one_example_and_four_queries() -> None:
    sample = nuclei()
    assert (sample.support.labels, len(sample.support), len(sample.queries)) == (("object",), 1, 4)
    assert [int(truth.max()) for truth in sample.truth] == [27, 17, 34, 9]
    for place, truth in enumerate(sample.truth):
        assert np.array_equal(sample.queries.checked_mask(place, 0) == 1, truth > 0)
    assert "CC0" in (sample.folder / "LICENSE").read_text()
    size = sum(path.stat().st_size for path in sample.folder.rglob("*") if path.is_file())
    assert size < 600_000


@pytest.mark.data("nuclei-sample")
def test_nuclei_drawn_again_are_the_same(data_root: Callable[[str], Path], tmp_path: Path) -> None:
    draw_nuclei(data_root("nuclei-sample") / "stained", tmp_path)
    assert files(tmp_path) == files(nuclei().folder)
