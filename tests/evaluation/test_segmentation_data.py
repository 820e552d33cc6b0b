from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.errors import InputError
from handful.evaluation.segmentation_data import Request, prepare


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture(scope="module")
def msrc_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight classes, two of a fold; photo i shows classes i and i + 1."""
    root = tmp_path_factory.mktemp("msrc21")
    names = ["ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen"]
    lines = ["0 void", *(f"{number} {name}" for number, name in enumerate(names, 1))]
    (root / "classes.txt").write_text("\n".join(lines))
    for i in range(16):
        values = np.full((40, 40), 1 + i % 8, np.uint8)
        values[20:] = 1 + (i + 1) % 8
        save(root / f"masks/{i}.png", values)
        save(root / f"images/{i}.jpg", np.zeros((40, 40, 3), np.uint8))
    return root


def test_classes_are_a_folds_or_those_named_or_all(msrc_root: Path) -> None:
    fold = prepare(Request("msrc", msrc_root, fold=1))
    assert (fold.classes, fold.fold) == (("cow", "dog"), 1)
    named = prepare(Request("msrc", msrc_root, fold=1, classes=["Hen", "2"]))
    assert (named.classes, named.fold) == (("hen", "bee"), None)
    every = prepare(Request("msrc", msrc_root))
    assert len(every.classes) == 8
    assert prepare(Request("msrc", msrc_root), needed=4).classes == every.classes
    with pytest.raises(InputError, match="no class is shown by 5 photos"):
        prepare(Request("msrc", msrc_root), needed=5)


def test_excluded_classes_take_their_photos_along(msrc_root: Path) -> None:
    task = prepare(Request("msrc", msrc_root, exclude=["ant", "dog"]), needed=2)
    assert len(task.photos) == 8  # four photos show each of two classes, and none both
    assert not task.photos.present[:, task.photos.find(["ant", "dog"])].any()
    assert task.left_out == ("ant", "dog")
    with pytest.raises(InputError, match="every photo shows a class of --exclude"):
        prepare(Request("msrc", msrc_root, exclude=["ant", "cow", "elk", "gnu"]))


def test_coco20i_has_fold_0_of_val2014_unless_asked(tmp_path: Path) -> None:
    save(tmp_path / "val2014/a.jpg", np.zeros((40, 40, 3), np.uint8))
    square = [[0, 0, 9, 0, 9, 9, 0, 9]]
    value = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 40, "width": 40}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "segmentation": square}],
        "categories": [{"id": n, "name": f"c{n}"} for n in range(1, 9)],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_val2014.json").write_text(json.dumps(value))
    task = prepare(Request("coco20i", tmp_path))
    assert (task.classes, task.fold) == (("c1", "c5"), 0)
    assert prepare(Request("coco20i", tmp_path, fold=2)).classes == ("c3", "c7")
    with pytest.raises(InputError, match="there are the splits val2014"):
        prepare(Request("coco20i", tmp_path, split=["train2014"]))
    with pytest.raises(InputError, match="takes one --split"):
        prepare(Request("coco20i", tmp_path, split=["val2014", "train2014"]))


def test_classes_of_a_folder_name_the_values_of_its_masks(msrc_root: Path, tmp_path: Path) -> None:
    save(tmp_path / "images/a.jpg", np.zeros((4, 4, 3), np.uint8))
    save(tmp_path / "masks/a.png", np.array([[0, 1], [2, 255]], np.uint8).repeat(2, 0).repeat(2, 1))
    plain = prepare(Request("folder", tmp_path), needed=1)
    assert plain.classes == ("object",)
    assert plain.photos.mask(0, 0).sum() == 12
    named = prepare(Request("folder", tmp_path, classes=["cell", "nucleus"]))
    assert named.classes == ("cell", "nucleus")
    assert np.count_nonzero(named.photos.mask(0, 1) == 1) == 4
    second = prepare(Request("folder", tmp_path, classes=["2"]))
    assert np.array_equal(second.photos.mask(0, 0), named.photos.mask(0, 1))
    with pytest.raises(InputError, match="no folds"):
        prepare(Request("folder", msrc_root, fold=0))


def test_validation_is_both_sets_without_what_the_hold_outs_test(tmp_path: Path) -> None:
    voc = tmp_path / "VOCdevkit/VOC2012"
    shown = [5, 5, 14, 14, 5, 18, 7]  # bottles, motorbikes; a sofa (A) and a car (B)
    for i, value in enumerate(shown):
        values = np.full((40, 40), value, np.uint8)
        save(voc / f"SegmentationClassAug/{i}.png", values)
        save(voc / f"JPEGImages/{i}.jpg", np.zeros((40, 40, 3), np.uint8))
    (voc / "ImageSets/Segmentation").mkdir(parents=True)
    (voc / "ImageSets/Segmentation/first.txt").write_text("".join(f"{i}\n" for i in range(4)))
    (voc / "ImageSets/Segmentation/second.txt").write_text("4\n5\n6\n")
    names = ["aeroplane", "bicycle", "bird", "boat", "body", "book", "building", "car", "cat",
             "chair", "cow", "dog", "face", "flower", "grass", "road", "sheep", "sign", "sky",
             "tree", "horse", "mountain", "water"]  # fmt: skip
    lines = ["0 void", *(f"{number} {name}" for number, name in enumerate(names, 1))]
    (tmp_path / "msrc21").mkdir()
    (tmp_path / "msrc21/classes.txt").write_text("\n".join(lines))
    for i, label in enumerate(["flower", "flower", "sign", "sign", "building"]):
        values = np.full((40, 40), names.index(label) + 1, np.uint8)
        values[30:] = names.index("chair" if i == 1 else "grass") + 1
        save(tmp_path / f"msrc21/masks/{i}.png", values)
        save(tmp_path / f"msrc21/images/{i}.jpg", np.zeros((40, 40, 3), np.uint8))
    task = prepare(Request("validation", tmp_path))
    assert task.classes == ("bottle", "motorbike", "sign", "flower")
    shows = task.photos.counts()
    assert {name: shows[name] for name in task.classes} == {
        "bottle": 3, "motorbike": 2, "flower": 1, "sign": 2,
    }  # fmt: skip
    assert not any(shows[name] for name in ("sofa", "building", "chair"))
    assert [path for path in task.photos.paths if "6.jpg" in path]  # B tests no car of VOC
    with pytest.raises(InputError, match="have no folds"):
        prepare(Request("validation", tmp_path, fold=1))
