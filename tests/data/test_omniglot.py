from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.data.omniglot import OmniglotSet, read_omniglot
from handful.errors import InputError


def test_every_image_is_described_by_its_own_path(omniglot: OmniglotSet) -> None:
    assert omniglot.images.shape == (14 * 4, 105, 105)
    assert omniglot.alphabets == ("Abra", "Bebra_(Old)", "Cebra")
    names: dict[int, str] = {}
    for i, path in enumerate(omniglot.paths):
        alphabet, character, file = path.split("/")
        assert omniglot.alphabets[omniglot.alphabet[i]] == alphabet
        assert omniglot.drawer[i] == int(file[-6:-4])
        assert names.setdefault(omniglot.character[i], alphabet + character) == alphabet + character
        pixels = np.asarray(Image.open(omniglot.root / path).convert("L"))
        np.testing.assert_array_equal(omniglot.images[i], pixels)
    assert len(set(names.values())) == len(names) == 14


def test_table_and_characters_index_the_images(omniglot: OmniglotSet) -> None:
    assert omniglot.table.shape == (14, 4)
    for character, row in enumerate(omniglot.table):
        assert set(omniglot.character[row]) == {character}
        assert omniglot.drawer[row].tolist() == [1, 2, 3, 4]
    assert [len(c) for c in omniglot.characters] == [5, 6, 3]
    for alphabet, characters in enumerate(omniglot.characters):
        assert set(omniglot.alphabet[omniglot.table[characters]].ravel()) == {alphabet}


@pytest.mark.parametrize("inner", ["", "omniglot-py", "omniglot-py/images_evaluation"])
def test_any_level_of_the_layout_serves_as_root(
    omniglot_root: Path, omniglot: OmniglotSet, inner: str
) -> None:
    assert read_omniglot(omniglot_root / inner).paths == omniglot.paths


def test_a_renamed_folder_of_alphabets_is_read(omniglot: OmniglotSet, tmp_path: Path) -> None:
    shutil.copytree(omniglot.root / "Cebra", tmp_path / "mine/Cebra")
    assert len(read_omniglot(tmp_path / "mine")) == 12


def test_the_other_split_is_never_taken_for_the_asked_one(omniglot_root: Path) -> None:
    for inner in ("", "omniglot-py", "omniglot-py/images_evaluation"):
        with pytest.raises(InputError, match="images_background"):
            read_omniglot(omniglot_root / inner, "background")


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_in_another_layout_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"{name}.*images_") as caught:
        read_omniglot(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "not a readable image"), (b"\x89PNG\r\n\x1a\nbroken", "not a readable image")],
)
def test_a_damaged_image_is_named(
    omniglot: OmniglotSet, tmp_path: Path, content: bytes, why: str
) -> None:
    shutil.copytree(omniglot.root / "Cebra", tmp_path / "Cebra")
    bad = tmp_path / "Cebra/character02/0002_03.png"
    bad.write_bytes(content)
    with pytest.raises(InputError, match=rf"0002_03\.png: {why}"):
        read_omniglot(tmp_path)


def test_an_image_of_another_size_or_name_is_named(omniglot: OmniglotSet, tmp_path: Path) -> None:
    shutil.copytree(omniglot.root / "Cebra", tmp_path / "Cebra")
    odd = tmp_path / "Cebra/character02/0002_05.png"
    Image.new("L", (30, 20)).save(odd)
    with pytest.raises(InputError, match=r"0002_05\.png: 30x20 pixels, not 105x105"):
        read_omniglot(tmp_path)
    odd.rename(odd.with_name("stray.png"))
    with pytest.raises(InputError, match=r"stray\.png: the name"):
        read_omniglot(tmp_path)


@pytest.mark.data("omniglot-py")
def test_the_published_counts(data_root: Callable[[str], Path]) -> None:
    evaluation = read_omniglot(data_root("omniglot-py"), "evaluation")
    assert evaluation.images.shape == (13_180, 105, 105)
    assert evaluation.table.shape == (659, 20)
    assert evaluation.table.min() == 0
    assert len(evaluation.alphabets) == 20
    # ink is the minority on every page
    assert 0.8 < (evaluation.images == 255).mean() < 1
