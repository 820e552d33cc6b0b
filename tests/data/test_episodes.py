from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.data.episodes import Episodes
from handful.data.omniglot import OmniglotSet
from handful.data.sampling import sample_fewshot, sample_within_alphabet
from handful.errors import InputError

PATHS = tuple(f"a/{i}.png" for i in range(9))


def small() -> Episodes:
    support = np.array([[[1], [3]], [[3], [8]]])
    return Episodes(
        support, np.array([[4, 5], [1, -1]]), np.array([[1, -1], [0, -1]]), PATHS, "p", 7
    )


def test_a_saved_file_replays_exactly(tmp_path: Path) -> None:
    episodes = small()
    episodes.save(tmp_path / "e.json")
    loaded = Episodes.load(tmp_path / "e.json")
    assert loaded.paths == tuple(f"a/{i}.png" for i in (1, 3, 4, 5, 8))
    assert (loaded.protocol, loaded.seed) == ("p", 7)
    again = loaded.over(PATHS)
    np.testing.assert_array_equal(again.support, episodes.support)
    np.testing.assert_array_equal(again.query, episodes.query)
    np.testing.assert_array_equal(again.target, episodes.target)


def test_the_file_says_what_it_holds(tmp_path: Path) -> None:
    small().save(tmp_path / "e.json")
    value = json.loads((tmp_path / "e.json").read_text())
    names = value["paths"]
    first, second = value["episodes"]
    assert [names[i[0]] for i in first["support"]] == ["a/1.png", "a/3.png"]
    assert [names[i] for i in first["query"]] == ["a/4.png", "a/5.png"]
    assert first["target"] == [1, None]
    assert (second["query"][1], second["target"][1]) == (None, None)


def test_ragged_queries_survive_the_file(tmp_path: Path) -> None:
    labels = np.repeat([0, 1, 2], [3, 9, 4])
    paths = [f"{i}.png" for i in range(16)]
    drawn = sample_fewshot(labels, 2, 2, 5, 20, seed=3, paths=paths)
    assert (drawn.query < 0).any()
    drawn.save(tmp_path / "e.json")
    again = Episodes.load(tmp_path / "e.json").over(paths)
    np.testing.assert_array_equal(again.query, drawn.query)
    np.testing.assert_array_equal(again.target, drawn.target)


def test_a_missing_image_is_named(omniglot: OmniglotSet, tmp_path: Path) -> None:
    episodes = sample_within_alphabet(omniglot, 6, ways=3)
    episodes.save(tmp_path / "e.json")
    assert len(Episodes.load(tmp_path / "e.json", omniglot.root)) == 6
    with pytest.raises(InputError, match=r"\.png is not in .*nowhere"):
        Episodes.load(tmp_path / "e.json", tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"a/1\.png.*the runs does not hold it"):
        small().over(PATHS[2:], "the runs")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[]", "holds no episodes"),
        ('{"format": "other"}', "holds no episodes"),
        ('{"format": "handful-episodes-1", "paths": []}', "damaged"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "e.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"e\.json: .*{why}"):
        Episodes.load(path)


def test_an_index_out_of_range_in_a_file_is_refused(tmp_path: Path) -> None:
    small().save(tmp_path / "e.json")
    text = (tmp_path / "e.json").read_text()
    (tmp_path / "e.json").write_text(text.replace('"support": [[0]', '"support": [[50]'))
    with pytest.raises(InputError, match="out of range"):
        Episodes.load(tmp_path / "e.json")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small().save(tmp_path / "e.json")
    before = (tmp_path / "e.json").read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        replace(small(), seed=8).save(tmp_path / "e.json")
    assert (tmp_path / "e.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["e.json"]


@pytest.mark.parametrize(
    ("support", "query", "target"),
    [
        (np.zeros((2, 3)), np.zeros((2, 1)), np.zeros((2, 1))),
        (np.zeros((2, 3, 1)), np.zeros((2, 1)), np.zeros((2, 2))),
        (np.zeros((2, 3, 1)), np.zeros((1, 1)), np.zeros((1, 1))),
        (np.zeros((0, 3, 1)), np.zeros((0, 1)), np.zeros((0, 1))),
        (np.zeros((1, 3, 1)), np.zeros((1, 1)), np.full((1, 1), 3)),
        (np.full((1, 3, 1), 9), np.zeros((1, 1)), np.zeros((1, 1))),
        (np.full((1, 3, 1), -1), np.zeros((1, 1)), np.zeros((1, 1))),
        (np.zeros((1, 3, 1)), np.full((1, 1), -1), np.zeros((1, 1))),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    support: NDArray[np.float64], query: NDArray[np.float64], target: NDArray[np.float64]
) -> None:
    with pytest.raises(InputError):
        Episodes(support.astype(int), query.astype(int), target.astype(int), PATHS)
