from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from handful.data.class_folders import classes_of_role, read_class_folders
from handful.data.pictures import title
from handful.errors import InputError


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_one_class_a_folder_in_natural_order(tmp_path: Path) -> None:
    make(tmp_path, "b10/2.jpg", "b10/10.jpg", "b9/x.PNG", "b9/Thumbs.db", ".git/y.png")
    found = read_class_folders(tmp_path)
    assert found.names == ("b9/x.PNG", "b10/2.jpg", "b10/10.jpg")
    assert found.labels == ("b9", "b10", "b10")
    assert found.classes == ("b9", "b10")
    assert found.skipped == ()
    assert found.paths[0] == tmp_path / "b9/x.PNG"


def test_what_is_left_out_is_listed(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/1.jpg", "stray.jpg", "notes.txt", "none/readme.md")
    found = read_class_folders(tmp_path)
    assert found.skipped == (("stray.jpg", "not in the folder of a class"), ("none", "no images"))
    left = found.take([1], [("a/1.jpg", "damaged")])
    assert (left.names, left.labels) == (("b/1.jpg",), ("b",))
    assert left.skipped[-1] == ("a/1.jpg", "damaged")


def test_only_the_classes_asked_for(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "éléphant")
    make(tmp_path, *(f"{c}/1.jpg" for c in ["ant", "bee", unicodedata.normalize("NFD", composed)]))
    found = read_class_folders(tmp_path, ["bee", composed])
    assert found.labels == ("bee", composed)
    with pytest.raises(InputError, match="no folder for the class 'cow'"):
        read_class_folders(tmp_path, ["bee", "cow", "dog"])


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([], "no sub-folders"),
        (["1.jpg", "2.jpg"], "no sub-folders"),
        (["a/1.jpg", "b/notes.txt"], "2 classes with images are needed, it has only a"),
        (["a/notes.txt"], "it has none"),
    ],
)
def test_no_classes_is_one_line(tmp_path: Path, names: list[str], why: str) -> None:
    with pytest.raises(InputError, match=why) as error:
        read_class_folders(make(tmp_path, *names))
    assert str(tmp_path) in str(error.value)


def test_a_manifest_stands_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("in/a.png", "b.png"):
        Image.new("RGB", (30, 20)).save(tmp_path / name)
    lines = ["in/a.png,cat,1,2,5,5,g", "in/a.png,dog,9,2,5,5,", "b.png,cat,,,,,g", "b.png,,,,,,"]
    lines += ["lost.png,cat,,,,,", "b.png,cow,90,0,1,1,"]
    (tmp_path / "m.csv").write_text("\n".join(["path,label,x,y,width,height,group", *lines]))
    found = read_class_folders(tmp_path / "m.csv")
    assert found.root == tmp_path
    assert found.names == ("in/a.png [1, 2, 5, 5]", "in/a.png [9, 2, 5, 5]", "b.png")
    assert found.labels == ("cat", "dog", "cat")
    assert [title(picture) for picture in found.pictures] == [
        str(tmp_path / name) for name in found.names
    ]
    assert found.group_numbers is not None
    assert found.group_numbers.tolist() == [0, 1, 0]
    assert [(path, why[:9]) for path, why in found.skipped] == [
        ("lost.png", "no such f"),
        ("b.png", "box (90.0"),
        ("b.png", "no label"),
    ]
    part = found.take([2, 1])
    assert (part.groups, part.boxes) == (("g", None), (None, (9, 2, 5, 5)))
    assert read_class_folders(tmp_path / "m.csv", ["dog"], 1).labels == ("dog",)
    with pytest.raises(InputError, match="no row for the class 'emu'"):
        read_class_folders(tmp_path / "m.csv", ["emu"])
    (tmp_path / "m.csv").write_text("path\nb.png\n")
    with pytest.raises(InputError, match="no row has a label"):
        read_class_folders(tmp_path / "m.csv")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_class_folders(tmp_path / "nowhere")


def test_roles_are_read_with_comments_and_spaces(tmp_path: Path) -> None:
    file = tmp_path / "split.txt"
    file.write_bytes(b"\xef\xbb\xbf# roles\r\n\r\ncat  train\r\nsea horse\ttest\r\n dog test\r\n")
    assert classes_of_role(file, "test") == ("sea horse", "dog")
    assert classes_of_role(file, "train") == ("cat",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cat train\ndog\n", r"line 2 \('dog'\) has no role"),
        ("cat train\ncat test\n", "line 2 gives 'cat' a second role"),
        ("cat train\ndog validation\n", "no class has the role 'test'; there are train, valid"),
        ("", "there are none"),
    ],
)
def test_a_file_of_roles_that_says_nothing(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "split.txt"
    file.write_text(text)
    with pytest.raises(InputError, match=why) as error:
        classes_of_role(file, "test")
    assert str(error.value).startswith(f"{file}: ")


def test_a_file_of_roles_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        classes_of_role(tmp_path / "none.txt", "test")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match="not a text file"):
        classes_of_role(tmp_path / "photo.jpg", "test")


@pytest.mark.data("caltech66")
def test_caltech66_is_a_folder_of_classes(data_root: Callable[[str], Path]) -> None:
    found = read_class_folders(data_root("caltech66"))
    assert len(found.classes) == 66
    assert len(found) == len(list(data_root("caltech66").glob("*/*.jpg")))
    assert found.skipped == ()
