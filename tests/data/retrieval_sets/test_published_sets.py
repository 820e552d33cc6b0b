"""CUB-200-2011, Cars-196 and Stanford Online Products, a few files in each published layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from handful.data.class_folders import ClassFolders
from handful.data.retrieval_sets import PUBLISHED, read_retrieval_set
from handful.errors import InputError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def make_cub(root: Path) -> Path:
    folder = root / "CUB_200_2011"
    kinds = {1: "001.Albatross", 100: "100.Pelican", 101: "101.White_Pelican", 200: "200.Wren"}
    names = [f"{kind}/{i}.jpg" for kind in kinds.values() for i in (1, 2)]
    touch(folder / "images", *names)
    numbered = list(enumerate(names, 1))
    (folder / "images.txt").write_text("".join(f"{i} {name}\n" for i, name in numbered))
    classes = [number for number in kinds for _ in (1, 2)]
    lines = [f"{i} {number}\n" for i, number in enumerate(classes, 1)]
    (folder / "image_class_labels.txt").write_text("".join(lines))
    return folder


def structs(name: str, rows: list[tuple[str, int]]) -> Any:
    kind = np.dtype([(name, object), ("class", object), ("bbox_x1", object)])
    return np.array([(path, float(number), 1.0) for path, number in rows], kind)


CARS = [1, 98, 99, 196, 99]


def make_cars_devkit(root: Path) -> Path:
    for part, classes in (("train", CARS), ("test", CARS[::-1])):
        names = [f"{i:05d}.jpg" for i in range(1, len(classes) + 1)]
        touch(root / f"cars_{part}", *names)
        rows = structs("fname", list(zip(names, classes, strict=True)))
        (root / "devkit").mkdir(exist_ok=True)
        suffix = "_withlabels" if part == "test" else ""
        file = root / f"devkit/cars_{part}_annos{suffix}.mat"
        savemat(file, {"annotations": rows})
    return root


def make_cars_flat(root: Path) -> Path:
    names = [f"car_ims/{i:06d}.jpg" for i in range(1, len(CARS) + 1)]
    touch(root, *names)
    rows = structs("relative_im_path", list(zip(names, CARS, strict=True)))
    savemat(root / "cars_annos.mat", {"annotations": rows, "class_names": ["a", "b"]})
    return root


def make_sop(root: Path) -> Path:
    folder = root / "Stanford_Online_Products"
    for part, first in (("train", 1), ("test", 11319)):
        names = [f"bicycle_final/{part}_{i}.JPG" for i in range(3)]
        touch(folder, *names)
        rows = [f"{i} {first + i // 2} 1 {name}" for i, name in enumerate(names)]
        head = "image_id class_id super_class_id path"
        (folder / f"Ebay_{part}.txt").write_text("\n".join([head, *rows]) + "\n")
    return folder


MAKERS = {"cub": make_cub, "cars": make_cars_devkit, "sop": make_sop}


def test_cub_is_split_between_its_hundredth_species(tmp_path: Path) -> None:
    folder = make_cub(tmp_path)
    test = read_retrieval_set(folder, "cub")
    assert test.classes == ("101.White_Pelican", "200.Wren")
    assert test.names[0] == "images/101.White_Pelican/1.jpg"
    assert read_retrieval_set(tmp_path, "cub", "train").classes == ("001.Albatross", "100.Pelican")


@pytest.mark.parametrize("make", [make_cars_devkit, make_cars_flat])
def test_cars_are_split_by_class_and_not_by_folder(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    copies = 2 if make is make_cars_devkit else 1
    test = read_retrieval_set(make(tmp_path), "cars")
    assert sorted(test.labels) == sorted(["99", "196", "99"] * copies)
    train = read_retrieval_set(tmp_path, "cars", "train")
    assert sorted(train.labels) == sorted(["1", "98"] * copies)
    assert all(path.is_file() for path in test.paths + train.paths)
    if make is make_cars_devkit:
        where = dict(zip(test.names, test.labels, strict=True))
        assert where["cars_train/00004.jpg"] == where["cars_test/00002.jpg"] == "196"


def test_test_labels_of_the_cars_may_stand_beside_the_devkit(tmp_path: Path) -> None:
    file = make_cars_devkit(tmp_path) / "devkit/cars_test_annos_withlabels.mat"
    before = read_retrieval_set(tmp_path, "cars").names
    file.rename(tmp_path / file.name)
    assert read_retrieval_set(tmp_path, "cars").names == before


def test_one_car_is_read_too(tmp_path: Path) -> None:
    touch(tmp_path, "car_ims/1.jpg")
    rows = structs("relative_im_path", [("car_ims/1.jpg", 150)])
    savemat(tmp_path / "cars_annos.mat", {"annotations": rows})
    assert read_retrieval_set(tmp_path, "cars").labels == ("150",)


def test_products_are_read_from_their_lists(tmp_path: Path) -> None:
    test = read_retrieval_set(make_sop(tmp_path), "sop")
    assert test.labels == ("11319", "11319", "11320")
    assert test.names[0] == "bicycle_final/test_0.JPG"
    assert read_retrieval_set(tmp_path, "sop", "train").labels == ("1", "1", "2")


@pytest.mark.parametrize("layout", MAKERS)
def test_parts_share_no_class(tmp_path: Path, layout: Any) -> None:
    MAKERS[layout](tmp_path)
    parts: list[ClassFolders] = [
        read_retrieval_set(tmp_path, layout, "train"),
        read_retrieval_set(tmp_path, layout, "test"),
    ]
    assert not set(parts[0].labels) & set(parts[1].labels)
    assert not set(parts[0].paths) & set(parts[1].paths)


@pytest.mark.parametrize(
    ("layout", "lost"),
    [
        ("cub", "CUB_200_2011/images.txt"),
        ("cub", "CUB_200_2011/image_class_labels.txt"),
        ("cub", "CUB_200_2011/images/200.Wren/2.jpg"),
        ("cars", "devkit/cars_train_annos.mat"),
        ("cars", "devkit/cars_test_annos_withlabels.mat"),
        ("cars", "cars_train/00003.jpg"),
        ("sop", "Stanford_Online_Products/Ebay_test.txt"),
        ("sop", "Stanford_Online_Products/bicycle_final/test_2.JPG"),
    ],
)
def test_one_line_names_the_missing_file(tmp_path: Path, layout: Any, lost: str) -> None:
    MAKERS[layout](tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(InputError) as error:
        read_retrieval_set(tmp_path, layout)
    assert Path(lost).name in str(error.value).split(":")[0]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("layout", MAKERS)
def test_no_folder_is_one_line(tmp_path: Path, layout: Any) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_retrieval_set(tmp_path / "nowhere", layout)


@pytest.mark.parametrize(
    ("layout", "file", "text", "why"),
    [
        ("cub", "CUB_200_2011/images.txt", "1\n", "line 1 .* is not 'IMAGE PATH'"),
        ("cub", "CUB_200_2011/images.txt", "", "lists nothing"),
        ("cub", "CUB_200_2011/images.txt", "77 a/b.jpg\n", "no class for image 77"),
        ("cub", "CUB_200_2011/image_class_labels.txt", "1 bird\n", "'bird' is no whole number"),
        ("cars", "devkit/cars_train_annos.mat", "no mat", "not a file of annotations"),
        ("sop", "Stanford_Online_Products/Ebay_test.txt", "head\n1 2 3\n", "line 2 .* is not"),
    ],
)
def test_a_damaged_list_is_one_line(
    tmp_path: Path, layout: Any, file: str, text: str, why: str
) -> None:
    MAKERS[layout](tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=why):
        read_retrieval_set(tmp_path, layout)


def test_cars_without_test_labels_are_refused(tmp_path: Path) -> None:
    make_cars_devkit(tmp_path)
    kind = np.dtype([("fname", object), ("bbox_x1", object)])
    rows = np.array([("00001.jpg", 1.0), ("00002.jpg", 1.0)], kind)
    file = tmp_path / "devkit/cars_test_annos_withlabels.mat"
    savemat(file, {"annotations": rows})
    with pytest.raises(InputError, match="no 'class'; give the one with labels"):
        read_retrieval_set(tmp_path, "cars")


def test_a_folder_of_classes_is_read_whole(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    assert read_retrieval_set(tmp_path).labels == ("a", "b")
    # as the papers count them: 11,788 birds, 16,185 cars and 120,053 products in all
    assert {name: (p.images, p.classes) for name, p in PUBLISHED.items()} == {
        "cub": (11_788 - 5_864, 100),
        "cars": (16_185 - 8_054, 98),
        "sop": (120_053 - 59_551, 22_634 - 11_318),
    }
