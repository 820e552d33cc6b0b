"""Which form examples of a segmentation have, told from what lies in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.data.pictures import Cutout
from handful.data.segmentation.photos import SegmentationSet
from handful.data.segmentation.support import read_examples
from handful.data.support import Support
from handful.errors import InputError


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def coco(path: Path, masks: bool) -> None:
    polygon = [[5, 4, 15, 4, 15, 12, 5, 12]]
    one = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [5, 4, 10, 8]}
    value = {
        "images": [{"id": 1, "file_name": "a.png", "width": 30, "height": 20}],
        "categories": [{"id": 3, "name": "egg"}],
        "annotations": [{**one, "segmentation": polygon} if masks else one],
    }
    path.write_text(json.dumps(value))


def test_class_folders_are_labels_alone_and_one_is_enough(tmp_path: Path) -> None:
    for number, name in enumerate(("cat/a.png", "cat/b.png", "dog/a.png")):
        draw(tmp_path / name, number)
    found = read_examples(tmp_path)
    assert isinstance(found, Support)
    assert (found.labels, found.masks) == (("cat", "cat", "dog"), None)
    draw(tmp_path / "one/cat/a.png", 9)
    alone = read_examples(tmp_path / "one")
    assert isinstance(alone, Support)
    assert alone.classes == ("cat",)


@pytest.mark.parametrize("form", ["csv", "coco", "coco-folder", "voc"])
def test_boxes_are_cutouts_of_whole_pictures(tmp_path: Path, form: str) -> None:
    draw(tmp_path / "a.png", 0)
    given = tmp_path
    if form == "csv":
        given = tmp_path / "m.csv"
        given.write_text("path,label,x,y,width,height\na.png,egg,5,4,10,8\n")
    elif form == "voc":
        (tmp_path / "a.xml").write_text(
            "<annotation><filename>a.png</filename><object><name>egg</name><bndbox>"
            "<xmin>6</xmin><ymin>5</ymin><xmax>15</xmax><ymax>12</ymax></bndbox></object>"
            "</annotation>"
        )
    else:
        coco(tmp_path / "c.json", masks=False)
        given = tmp_path / "c.json" if form == "coco" else tmp_path
    found = read_examples(given)
    assert isinstance(found, Support)
    (picture,) = found.images
    assert isinstance(picture, Cutout)
    assert (Path(str(picture.image)).name, picture.box) == ("a.png", (5, 4, 10, 8))
    assert found.labels == ("egg",)


def test_masks_come_before_boxes_and_labels(tmp_path: Path) -> None:
    draw(tmp_path / "coco/a.png", 0)
    coco(tmp_path / "coco/c.json", masks=True)
    assert isinstance(read_examples(tmp_path / "coco"), SegmentationSet)
    assert isinstance(read_examples(tmp_path / "coco/c.json"), SegmentationSet)
    draw(tmp_path / "pairs/images/a.png", 0)
    values = np.zeros((20, 30), np.uint8)
    values[4:9, 4:9] = 1
    (tmp_path / "pairs/masks").mkdir()
    Image.fromarray(values).save(tmp_path / "pairs/masks/a.png")
    found = read_examples(tmp_path / "pairs")
    assert isinstance(found, SegmentationSet)
    assert found.labels == ("object",)


@pytest.mark.parametrize(("name", "line"), [
    ("nowhere", "no such folder or file"),
    ("flat", "no masks"),
    ("images", "no masks"),
])  # fmt: skip
def test_what_teaches_nothing_is_one_line(tmp_path: Path, name: str, line: str) -> None:
    draw(tmp_path / "flat/a.png", 0)
    draw(tmp_path / "images/images/a.png", 0)
    with pytest.raises(InputError, match=line) as error:
        read_examples(tmp_path / name)
    assert "\n" not in str(error.value)
