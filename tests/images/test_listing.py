from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.errors import InputError
from handful.images import list_images, natural_key


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(root: Path, **options: bool) -> list[str]:
    return [path.relative_to(root).as_posix() for path in list_images(root, **options)]


def test_natural_order_any_case_no_clutter(tmp_path: Path) -> None:
    make(tmp_path, "img10.JPG", "img9.png", "IMG1.Tiff", "Übung 2.webp", "a.txt", "noext")
    make(tmp_path, ".DS_Store", "Thumbs.db", "._img9.png", ".hidden.jpg", "photo.HEIC")
    assert names(tmp_path) == ["IMG1.Tiff", "img9.png", "img10.JPG", "photo.HEIC", "Übung 2.webp"]


def test_sub_folders_only_when_asked(tmp_path: Path) -> None:
    make(tmp_path, "z.png", "b10/a.png", "b9/a.png", "b9/deep/x.png")
    make(tmp_path, ".git/a.png", "__MACOSX/a.png", "@eaDir/a.png")
    assert names(tmp_path) == ["z.png"]
    expected = ["b9/a.png", "b9/deep/x.png", "b10/a.png", "z.png"]
    assert names(tmp_path, recursive=True) == expected


def test_links_are_followed_once(tmp_path: Path) -> None:
    make(tmp_path / "far", "a.png")
    root = tmp_path / "near"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "far")
    (root / "again").symlink_to(root)
    (tmp_path / "far" / "up").symlink_to(root)
    assert names(root, recursive=True) == ["linked/a.png"]


@pytest.mark.parametrize("name", ["missing", "file.png"])
def test_a_folder_is_needed(tmp_path: Path, name: str) -> None:
    make(tmp_path, "file.png")
    with pytest.raises(InputError, match=name):
        list_images(tmp_path / name)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6)), st.sampled_from(["", "a", "Bild ", "x1y"]))
def test_numbers_sort_as_numbers(numbers: list[int], prefix: str) -> None:
    ordered = sorted((f"{prefix}{number}.png" for number in numbers), key=natural_key)
    assert ordered == [f"{prefix}{number}.png" for number in sorted(numbers)]


@settings(deadline=None)
@given(st.lists(st.text(), min_size=2))
def test_any_names_can_be_compared(texts: list[str]) -> None:
    backwards = texts[::-1]
    assert sorted(texts, key=_whole_key) == sorted(backwards, key=_whole_key)


def _whole_key(text: str) -> tuple[object, str]:
    return natural_key(text), text
