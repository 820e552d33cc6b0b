from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.data import looking
from handful.data.manifest import read_manifest
from handful.data.pictures import Cutout
from handful.data.support import OBJECT, Support
from handful.errors import InputError
from handful.images import ImageLike, cut_object, cutting, read
from handful.images.cutting import NEUTRAL


def picture(seed: int, height: int = 8, width: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Two classes of two images."""
    root = tmp_path / "pets"
    for seed, name in enumerate(["cat/a.png", "cat/b.bmp", "dog/a.png", "dog/b.png"]):
        save(root / name, picture(seed))
    return root


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Three photos with masks."""
    root = tmp_path / "cells"
    for seed, stem in enumerate("abc"):
        save(root / "images" / f"{stem}.png", picture(seed))
        save(root / "masks" / f"{stem}.png", picture(seed)[..., 0] // 128)
    return root


def refused(root: Path, *says: str, **options: int) -> str:
    with pytest.raises(InputError) as caught:
        Support.from_folder(root, **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in says:
        assert part in message
    return message


def test_a_sub_folder_is_a_class(pets: Path) -> None:
    support = Support.from_folder(pets)
    assert support.images == tuple(
        pets / name for name in ("cat/a.png", "cat/b.bmp", "dog/a.png", "dog/b.png")
    )
    assert support.labels == ("cat", "cat", "dog", "dog")
    assert support.classes == ("cat", "dog")
    assert support.by_class() == {"cat": (0, 1), "dog": (2, 3)}
    assert len(support) == 4
    assert support.masks is None
    assert support.groups is None
    assert support.skipped == ()
    for place in range(4):
        np.testing.assert_array_equal(support.read(place), picture(place))


def test_classes_sort_as_people_do(tmp_path: Path) -> None:
    for seed, label in enumerate(["class 10", "Class 9", "été", "日本語 2"]):
        save(tmp_path / "s" / label / f"ein Bild {seed}.png", picture(seed))
    support = Support.from_folder(tmp_path / "s")
    assert support.classes == ("Class 9", "class 10", "été", "日本語 2")
    np.testing.assert_array_equal(support.read(support.by_class()["日本語 2"][0]), picture(3))


def test_a_decomposed_name_is_the_same_label(tmp_path: Path) -> None:
    save(tmp_path / "s" / unicodedata.normalize("NFD", "été") / "a.png", picture(0))
    save(tmp_path / "s" / "hiver" / "a.png", picture(1))
    assert unicodedata.normalize("NFC", "été") in Support.from_folder(tmp_path / "s").classes


def test_stray_files_are_ignored(pets: Path) -> None:
    for stray in (".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", "cat/._a.png", "notes.txt"):
        (pets / stray).write_bytes(b"stray")
    for folder in (".cache", "__MACOSX"):
        (pets / folder).mkdir()
    support = Support.from_folder(pets)
    assert len(support) == 4
    assert support.skipped == ()


def test_one_unreadable_file_is_skipped_and_listed(pets: Path) -> None:
    (pets / "cat" / "c.jpg").write_text("no picture")
    cut_short = pets / "dog" / "c.png"
    cut_short.write_bytes((pets / "dog" / "a.png").read_bytes()[:60])
    (pets / "dog" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    save(pets / "loose.png", picture(9))
    support = Support.from_folder(pets)
    assert len(support) == 4
    reasons = dict(support.skipped)
    assert set(reasons) == {
        str(pets / name) for name in ("loose.png", "cat/c.jpg", "dog/c.png", "dog/phone.heic")
    }
    assert "not an image" in reasons[str(pets / "cat/c.jpg")]
    assert "cut short" in reasons[str(cut_short)]
    assert "folder of a class" in reasons[str(pets / "loose.png")]
    assert not any(str(pets) in why for why in reasons.values())


def test_a_class_that_loses_all_its_images(pets: Path) -> None:
    for path in (pets / "dog").iterdir():
        path.write_bytes(b"")
    refused(pets, str(pets / "dog"), "none of its images", "a.png", "0 bytes")


def test_folders_that_hold_no_support(tmp_path: Path, pets: Path) -> None:
    refused(tmp_path / "missing", "missing", "no such folder")
    refused(pets / "cat" / "a.png", "a.png", "file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no images")
    refused(pets / "cat", "in no sub-folder")
    (pets / "bird").mkdir()
    refused(pets, str(pets / "bird"), "no images")


def test_the_number_of_classes(pets: Path) -> None:
    shutil.rmtree(pets / "dog")
    refused(pets, "one class only (cat)", "2 or more")
    assert Support.from_folder(pets, min_classes=1).classes == ("cat",)
    save(pets / "dog" / "a.png", picture(7))
    refused(pets, "only 2 classes", min_classes=3)


@pytest.mark.parametrize("name", ["copy.png", "copy.bmp", "copy.tiff"])
def test_one_image_under_two_labels(pets: Path, name: str) -> None:
    copied = save(pets / "dog" / name, picture(0))
    refused(pets, str(copied), str(pets / "cat" / "a.png"), "'dog'", "'cat'")


def test_one_image_twice_under_one_label_is_allowed(pets: Path) -> None:
    save(pets / "cat" / "copy.png", picture(0))
    assert len(Support.from_folder(pets)) == 5


def test_each_file_is_decoded_once(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []

    def counting(image: ImageLike, **options: int) -> np.ndarray:
        decoded.append(image)
        return read(image, **options)

    monkeypatch.setattr(cutting, "read", counting)
    support = Support.from_folder(pets)
    for place in range(4):
        support.read(place)
    assert sorted(map(str, decoded)) == sorted(map(str, support.images))
    # a support too large to keep is decoded again instead
    monkeypatch.setattr(looking, "KEEP_BYTES", 4 * picture(0).nbytes - 1)
    decoded.clear()
    large = Support.from_folder(pets)
    np.testing.assert_array_equal(large.read(2), picture(2))
    assert len(decoded) == 5


def test_photos_and_masks(cells: Path) -> None:
    support = Support.from_folder(cells)
    assert support.images == tuple(cells / "images" / f"{stem}.png" for stem in "abc")
    assert support.masks == tuple(cells / "masks" / f"{stem}.png" for stem in "abc")
    assert support.labels == (OBJECT,) * 3
    for place in range(3):
        np.testing.assert_array_equal(support.read(place), picture(place))
        np.testing.assert_array_equal(support.read_mask(place), picture(place)[..., 0] // 128)
    refused(cells, "one class only", min_classes=2)


def test_a_mask_of_another_size(cells: Path) -> None:
    save(cells / "masks" / "b.png", np.zeros((6, 8), np.uint8))
    refused(cells, str(cells / "masks" / "b.png"), "8 x 6", "6 x 8", str(cells / "images/b.png"))


def test_a_mask_without_a_photo(cells: Path) -> None:
    (cells / "images" / "b.png").unlink()
    refused(cells, str(cells / "masks" / "b.png"), "without a photo")


def test_photos_that_cannot_be_used_are_skipped(cells: Path) -> None:
    (cells / "masks" / "a.png").unlink()
    (cells / "images" / "b.png").write_bytes(b"GIF89a")
    support = Support.from_folder(cells)
    assert support.images == (cells / "images" / "c.png",)
    assert [path for path, _ in support.skipped] == [
        str(cells / "images" / "a.png"),
        str(cells / "images" / "b.png"),
    ]
    save(cells / "masks" / "c.png", picture(2))  # in colour
    refused(cells, "no photo with a mask")


def test_two_photos_of_one_name(cells: Path) -> None:
    save(cells / "images" / "a.jpg", picture(0))
    refused(cells, "a.jpg", "a.png", "same name")


def test_examples_a_program_holds(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", picture(0))
    images = [path, Image.fromarray(picture(1)), picture(2)]
    masks = [picture(i)[..., 1] for i in range(3)]
    support = Support.from_arrays(iter(images), (7, "x", 7), masks=masks, groups=[1, 1, 2])
    assert support.labels == ("7", "x", "7")
    assert support.groups == ("1", "1", "2")
    for place in range(3):
        np.testing.assert_array_equal(support.read(place), picture(place))
        np.testing.assert_array_equal(support.read_mask(place), masks[place])


@pytest.mark.parametrize(
    ("images", "labels", "match"),
    [
        ([], [], "no examples"),
        ([picture(0)], ["a"], "one class only"),
        ([picture(0), picture(1)], ["a"], "2 images but 1 labels"),
        ([picture(0), picture(0)], ["a", "b"], "image 1: the same image as image 0"),
        ([picture(0), "gone.png"], ["a", "b"], "gone.png: no such file"),
        ([picture(0), picture(1) / 255], ["a", "b"], "uint8"),
    ],
)
def test_examples_that_cannot_be(images: list[object], labels: list[str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        Support.from_arrays(images, labels)


def test_masks_a_program_holds_are_checked() -> None:
    with pytest.raises(InputError, match="5 x 5, but its photo"):
        Support.from_arrays([picture(0)], ["a"], masks=[np.zeros((5, 5), np.uint8)])
    with pytest.raises(InputError, match="no masks"):
        Support.from_arrays([picture(0)], ["a"], min_classes=1).read_mask(0)


def test_masks_of_several_classes(tmp_path: Path) -> None:
    for seed, where in enumerate(["cat/a", "cat/b", "dog/a"]):
        save(tmp_path / f"images/{where}.png", picture(seed, 40, 30))
        mask = np.zeros((40, 30), np.uint8)
        mask[10:30, 5:25] = seed + 1
        save(tmp_path / f"masks/{where}.png", mask)
    save(tmp_path / "images/dog/bare.png", picture(9))
    support = Support.from_folder(tmp_path)
    assert support.labels == ("cat", "cat", "dog")
    assert support.skipped == ((str(tmp_path / "images/dog/bare.png"), "no mask dog/bare.png"),)
    np.testing.assert_array_equal(support.read(1), picture(1, 40, 30))
    cut = support.read_object(1)
    assert cut.shape == (22, 22, 3)
    np.testing.assert_array_equal(cut[1:-1, 1:-1], picture(1, 40, 30)[10:30, 5:25])
    assert (cut[0] == NEUTRAL).all()
    (tmp_path / "masks/dog").rename(tmp_path / "masks/hound")
    refused(tmp_path, str(tmp_path / "images/dog"), "no masks")


def test_a_manifest_cuts_its_boxes_and_keeps_its_groups(tmp_path: Path) -> None:
    save(tmp_path / "a.png", picture(0, 40, 60))
    save(tmp_path / "b.png", picture(1, 40, 60))
    (tmp_path / "bad.png").write_text("no picture")
    lines = [
        "a.png,cat,0,0,20,20,g",
        "a.png,dog,30,10,20,20,",
        "b.png,dog,,,,,g",
        "b.png,,1,1,5,5,",
    ]
    lines += ["bad.png,cat,,,,,", "lost.png,cat,1,1,5,5,"]
    path = tmp_path / "m.csv"
    path.write_text("\n".join(["path,label,x,y,width,height,group", *lines]))
    support = Support.read_any(path)
    assert support.labels == ("cat", "dog", "dog")
    assert support.groups == ("g", None, "g")
    assert isinstance(support.images[1], Cutout)
    assert support.images[2] == tmp_path / "b.png"
    whole = picture(0, 40, 60)
    for place, box in ((0, (0, 0, 20, 20)), (1, (30, 10, 20, 20))):
        for found in (support.read(place), support.read_object(place), support.read(place, 5)):
            np.testing.assert_array_equal(found, cut_object(whole, box))
    np.testing.assert_array_equal(support.read(2), picture(1, 40, 60))
    reasons = dict(support.skipped)
    assert reasons[str(tmp_path / "b.png") + " [1, 1, 5, 5]"] == "no label"
    assert reasons[str(tmp_path / "bad.png")].startswith("not an image")
    assert reasons[str(tmp_path / "lost.png")].startswith("no such file")
    again = Support.from_manifest(read_manifest(path)[:3])
    assert again.labels == support.labels


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["a.png,", "b.png,"], "no row has a label"),
        (["a.png,cat", "b.png,cat"], "one class only (cat)"),
        (["lost.png,cat"], "lost.png: no such file"),
        (["a.png,cat", "a.png,dog"], "the same image as"),
    ],
)
def test_a_manifest_that_is_no_support(tmp_path: Path, lines: list[str], says: str) -> None:
    for seed, name in enumerate(["a.png", "b.png"]):
        save(tmp_path / name, picture(seed))
    (tmp_path / "m.csv").write_text("\n".join(["path,label", *lines]))
    with pytest.raises(InputError) as caught:
        Support.from_manifest(tmp_path / "m.csv")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_large_photo_is_decoded_as_coarsely_as_a_query(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    large = np.repeat(np.repeat(picture(0, 60, 80), 20, 0), 20, 1)
    Image.fromarray(large).save(path, quality=95)
    support = Support.from_arrays([path, picture(1)], ["a", "b"])
    np.testing.assert_array_equal(support.read(0), read(path))
    coarse = support.read(0, at_least=100)
    assert coarse.shape == (150, 200, 3)
    np.testing.assert_array_equal(coarse, read(path, at_least=100))
    np.testing.assert_array_equal(support.read(1, at_least=100), picture(1))


def test_one_object_under_two_labels_and_two_objects_of_one_photo(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", picture(0, 40, 60))
    one, other = Cutout(path, (0, 0, 20, 20)), Cutout(path, (30, 0, 20, 20))
    assert len(Support.from_arrays([one, other], ["a", "b"])) == 2
    with pytest.raises(InputError, match=r"\[0, 0, 20, 20\]: the same image"):
        Support.from_arrays([one, Cutout(path, (0, 0, 20, 20))], ["a", "b"])


@pytest.mark.data("omniglot-py")
def test_an_alphabet(data_root: Callable[[str], Path]) -> None:
    root = data_root("omniglot-py") / "images_evaluation"
    support = Support.from_folder(root / "Angelic")
    assert len(support) == 20 * len(support.classes) == 400
    assert {len(places) for places in support.by_class().values()} == {20}
    refused(root, "no images")  # its sub-folders are alphabets, not characters
