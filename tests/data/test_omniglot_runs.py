from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handful.data.omniglot import OmniglotSet
from handful.data.omniglot_runs import read_runs, write_runs
from handful.errors import InputError


@pytest.fixture
def root(omniglot: OmniglotSet, tmp_path: Path) -> Path:
    write_runs(omniglot, tmp_path / "runs", runs=3, ways=5, seed=1)
    return tmp_path / "runs"


def test_a_run_pairs_two_drawings_of_one_character(root: Path, omniglot: OmniglotSet) -> None:
    runs = read_runs(root)
    assert runs.support.shape == runs.query.shape == runs.target.shape == (3, 5)
    # the original of each image tells its character and its drawer
    originals = {image.tobytes(): i for i, image in enumerate(omniglot.images)}
    source = np.array([originals[image.tobytes()] for image in runs.images])
    for support, query, target in zip(runs.support, runs.query, runs.target, strict=True):
        answer = support[target]
        np.testing.assert_array_equal(
            omniglot.character[source[query]], omniglot.character[source[answer]]
        )
        assert len(set(omniglot.character[source[support]])) == 5
        assert len(set(omniglot.alphabet[source[support]])) == 1
        teacher, learner = omniglot.drawer[source[support]], omniglot.drawer[source[query]]
        assert len(set(teacher)) == len(set(learner)) == 1
        assert teacher[0] != learner[0]


def test_the_label_file_has_the_published_form(root: Path) -> None:
    runs = read_runs(root)
    lines = (root / "run02/class_labels.txt").read_text().splitlines()
    assert len(lines) == 5
    for item, line in enumerate(lines):
        test, training = line.split()
        assert test == f"run02/test/item{item + 1:02d}.png" == runs.paths[runs.query[1, item]]
        assert training == runs.paths[runs.support[1, runs.target[1, item]]]


def test_the_seed_decides(omniglot: OmniglotSet, root: Path, tmp_path: Path) -> None:
    write_runs(omniglot, tmp_path / "again", runs=3, ways=5, seed=1)
    write_runs(omniglot, tmp_path / "other", runs=3, ways=5, seed=2)
    first, again, other = (read_runs(r) for r in (root, tmp_path / "again", tmp_path / "other"))
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)


def test_only_alphabets_of_enough_characters_take_part(
    omniglot: OmniglotSet, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no alphabet has 7 characters"):
        write_runs(omniglot, tmp_path, ways=7)


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("run01/class_labels.txt", None, "no such file"),
        ("run01/class_labels.txt", "", "names no test image"),
        ("run01/class_labels.txt", "run01/test/item01.png\n", "line 1"),
        ("run01/class_labels.txt", "run01/test/item09.png run01/training/class01.png\n", "line 1"),
        ("run01/class_labels.txt", "run01/test/item01.png run02/training/class01.png\n", "line 1"),
        ("run03/training/class01.png", None, "4 training and 5 test images, not 5 and 5|line"),
        ("run02/test/item01.png", "", "not a readable image"),
    ],
)
def test_damage_is_named(root: Path, file: str, text: str | None, why: str) -> None:
    if text is None:
        (root / file).unlink()
    else:
        (root / file).write_text(text)
    with pytest.raises(InputError, match=why) as caught:
        read_runs(root)
    assert file.split("/")[0] in str(caught.value)


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_folder_without_runs_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="run01"):
        read_runs(tmp_path / name)
