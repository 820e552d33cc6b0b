"""Drawings in memory, and the rules of the draws."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare

from handful.errors import InputError
from handful.images import ink
from handful.training.characters import Characters, load_background, rivals


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pixels_are_the_drawings_asked_for(characters: Characters) -> None:
    character, drawer = torch.tensor([3, 59, 0]), torch.tensor([5, 0, 2])
    found = characters.pixels(character, drawer)
    assert (found.shape, found.dtype) == ((3, 1, 4, 4), torch.float32)
    torch.testing.assert_close(found[:, 0, 0, 0] * 255, character.float())
    torch.testing.assert_close(found[:, 0, 0, 1] * 255, drawer.float())
    assert (len(characters), characters.drawers) == (60, 6)


def test_background_is_split_by_alphabet(background_root: Path) -> None:
    data = load_background(background_root, 21, ["Cebra", "Abra"], margin=0.25)
    assert data.training.images.shape == data.validation.images.shape == (12, 4, 21, 21)
    assert {file.split("/")[0] for file in data.files} == {"Bebra", "Debra"}
    assert {file.split("/")[0] for file in data.validation_files} == {"Abra", "Cebra"}
    assert len(set(data.files)) == len(data.files) == 48
    assert Counter(data.training.alphabet.tolist()) == {1: 6, 3: 6}


def test_every_drawing_is_where_its_file_says(background_root: Path) -> None:
    data = load_background(background_root, 21, ["Cebra"], margin=None)
    for part, files in ((data.training, data.files), (data.validation, data.validation_files)):
        drawings = part.images.reshape(-1, 21, 21)
        for file, drawing in zip(files[::7], drawings[::7], strict=True):
            page = np.asarray(Image.open(background_root / "images_background" / file).convert("L"))
            np.testing.assert_allclose(drawing / 255, ink(page, 21), atol=0.5 / 255 + 1e-6)
        # a row is one character: its files share their folder, its drawers count up
        rows = [file.rsplit("_", 1)[0] for file in files]
        assert all(len({*rows[i : i + 4]}) == 1 for i in range(0, len(rows), 4))


def test_an_unknown_alphabet_is_refused(background_root: Path) -> None:
    with pytest.raises(InputError, match="no alphabet 'Zebra'"):
        load_background(background_root, 21, ["Abra", "Zebra"])


def test_validation_must_leave_something(background_root: Path) -> None:
    with pytest.raises(InputError, match="none is left to train on"):
        load_background(background_root, 21, ["Abra", "Bebra", "Cebra", "Debra"])


def test_a_missing_drawing_is_named(background_root: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(background_root, tmp_path / "copy")
    (copied / "images_background/Bebra/character03/0003_02.png").unlink()
    with pytest.raises(InputError, match="Bebra/character03 lacks a drawing"):
        load_background(copied, 21, ["Abra"])


def test_rivals_are_of_one_alphabet_by_two_drawers(characters: Characters) -> None:
    character, drawer = rivals(characters, 300, 5, seeded())
    assert character.shape == drawer.shape == (300, 2, 5)
    alphabet = torch.from_numpy(characters.alphabet)[character]
    assert (alphabet == alphabet[:, :1, :1]).all()
    assert torch.equal(character[:, 0], character[:, 1])
    assert all(len({*row}) == 5 for row in character[:, 0].tolist())
    assert (drawer == drawer[:, :, :1]).all()
    assert (drawer[:, 0] != drawer[:, 1]).all()
    assert {*drawer.flatten().tolist()} == {*range(6)}


def test_an_alphabet_of_too_few_characters_repeats_them_evenly(characters: Characters) -> None:
    character, _ = rivals(characters, 300, 12, seeded())
    small = character[:, 0][character[:, 0, 0] < 5]
    assert len(small) > 5
    for row in small.tolist():
        counts = Counter(row)
        assert {*counts} == {*range(5)}
        assert {*counts.values()} == {2, 3}


def test_a_repeated_character_is_drawn_by_others(characters: Characters) -> None:
    character, drawer = rivals(characters, 100, 12, seeded())
    for names, hands in zip(character.flatten(1).tolist(), drawer.flatten(1).tolist(), strict=True):
        drawn = [*zip(names, hands, strict=True)]
        # six hands draw each of five characters twice by two: none is left for another time
        assert len({*drawn}) == len(drawn)


def test_an_alphabet_comes_as_often_as_it_has_characters(characters: Characters) -> None:
    character, _ = rivals(characters, 3000, 2, seeded())
    alphabet = characters.alphabet[character[:, 0, 0].numpy()]
    expected = 3000 * np.array([5, 12, 20, 23]) / 60
    assert chisquare(np.bincount(alphabet), expected).pvalue > 1e-3
    within = np.bincount(character[:, 0].flatten().numpy())
    assert chisquare(within).pvalue > 1e-3


def test_draws_come_from_the_generator_alone(characters: Characters) -> None:
    torch.manual_seed(1)
    first = rivals(characters, 20, 5, seeded(7))
    torch.manual_seed(2)
    again, other = rivals(characters, 20, 5, seeded(7)), rivals(characters, 20, 5, seeded(8))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
