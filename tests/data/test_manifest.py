"""Manifests: CSV, MegaDetector, COCO and PASCAL VOC become the same rows."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.data.manifest import is_manifest, read_manifest
from handful.data.pictures import Cutout
from handful.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos of 80 x 60, one of them lying on its side."""
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/b.jpg"):
        Image.new("RGB", (80, 60)).save(tmp_path / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 80)).save(tmp_path / "side.jpg", exif=exif)
    return tmp_path


def write(folder: Path, text: str, name: str = "m.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def refused(path: Path, *says: str) -> None:
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    for part in says:
        assert part in message


def test_csv(folder: Path) -> None:
    text = "note,path,label,x,y,width,height,group\nx,a.png, cat ,1,2,30,40.5,burst\n"
    text += "\n,sub/b.jpg,dog,,,,,\n,a.png,,-5,50,20,99,burst\n"
    manifest = read_manifest(write(folder, text))
    assert [row.path for row in manifest] == [
        folder / "a.png",
        folder / "sub/b.jpg",
        folder / "a.png",
    ]
    assert manifest.labels == ("cat", "dog", None)
    assert [row.box for row in manifest] == [(1, 2, 30, 40.5), None, (0, 50, 15, 10)]
    assert manifest.groups == ("burst", None, "burst")
    assert manifest.skipped == ()
    first, second, _ = manifest.pictures
    assert isinstance(first, Cutout)
    assert (first.image, first.box) == (folder / "a.png", (1, 2, 30, 40.5))
    assert second == folder / "sub/b.jpg"
    assert manifest[1:].labels == ("dog", None)


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_other_spreadsheets(folder: Path, delimiter: str) -> None:
    rows = [
        ["Path", "Label", "X", "Y", "Width", "Height"],
        ["sub\\b.jpg", "a, b; c", 1, 2, 3, "4,5"],
    ]
    if delimiter != ";":
        rows[1][-1] = "4.5"
    path = folder / "m.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    (row,) = read_manifest(path)
    assert (row.path, row.label, row.box) == (folder / "sub/b.jpg", "a, b; c", (1, 2, 3, 4.5))


def test_what_cannot_be_used_is_skipped_with_its_line(folder: Path) -> None:
    (folder / "bad.png").write_text("no picture")
    text = (
        "path,x,y,width,height\nlost.png,,,,\nlost.png,0,0,1,1\na.png,80,0,5,5\nbad.png,0,0,1,1\n"
    )
    manifest = read_manifest(write(folder, text))
    assert manifest.rows == ()
    assert [path for path, _ in manifest.skipped] == [
        str(folder / name) for name in ("lost.png", "lost.png", "a.png", "bad.png")
    ]
    reasons = [why for _, why in manifest.skipped]
    assert reasons[0] == "no such file; check the path (line 2)"
    assert reasons[1].startswith("no such file")
    assert "outside the 80 x 60 picture (line 4)" in reasons[2]
    assert "not an image" in reasons[3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\na.png,cat\n", ["no column 'path'", "file, label"]),
        ("path,x,y,width\na.png,1,1,1\n", ["no column 'height'"]),
        ("path,path\na.png,a.png\n", ["two columns 'path'"]),
        ("path,x,y,width,height\na.png,1,1,5,5\na.png,1,one,5,5\n", ["line 3", "y is 'one'"]),
        ("path,x,y,width,height\na.png,1,1,,5\n", ["line 2", "width is ''"]),
        ("path,x,y,width,height\na.png,1,1,inf,5\n", ["line 2", "width is 'inf'"]),
        ("path,x,y,width,height\na.png,1,1,0,5\n", ["line 2", "0 x 5"]),
        ("path,label\n,cat\n", ["line 2", "no path"]),
        ("path,label\na, b.png,cat\n", ["line 2", "more cells than columns"]),
        ("path,label\n", ["lists no picture"]),
        ("", ["lists no picture"]),
    ],
)
def test_a_csv_that_says_something_else_is_one_line(
    folder: Path, text: str, says: list[str]
) -> None:
    refused(write(folder, text), *says)


def test_files_that_are_no_manifest(folder: Path) -> None:
    refused(folder / "none.csv", "No such file")
    (folder / "m.csv").write_bytes(b"path\n\xff\xfe\n")
    refused(folder / "m.csv", "not UTF-8")
    refused(write(folder, "{", "m.json"), "no JSON")
    refused(write(folder, "[]", "m.json"), "neither MegaDetector's JSON nor COCO's")


def megadetector(folder: Path, images: list[Any]) -> Path:
    value = {
        "info": {"format_version": "1.4"},
        "detection_categories": {"1": "animal", "2": "person"},
        "classification_categories": {"0": "lynx", "1": "hare"},
        "images": images,
    }
    return write(folder, json.dumps(value), "md.json")


def test_megadetector(folder: Path) -> None:
    sure = {"category": "1", "conf": 0.9, "bbox": [0.25, 0.5, 0.5, 0.25]}
    named = {"category": "1", "conf": 0.2, "bbox": [0.5, 0, 0.6, 1]}
    named["classifications"] = [["1", 0.3], ["0", 0.6]]
    weak = {"category": "2", "conf": 0.19, "bbox": [0, 0, 1, 1]}
    path = megadetector(
        folder,
        [
            {"file": "a.png", "detections": [sure, weak, named]},
            {"file": "side.jpg", "detections": [sure]},
            {"file": "sub/b.jpg", "detections": [weak]},
            {"file": "c.jpg", "failure": "image access", "detections": None},
            {"file": "lost.jpg", "detections": [sure]},
        ],
    )
    manifest = read_manifest(path)
    assert [(row.path.name, row.label, row.box) for row in manifest] == [
        ("a.png", "animal", (20, 30, 40, 15)),
        ("a.png", "lynx", (40, 0, 40, 60)),
        ("side.jpg", "animal", (20, 30, 40, 15)),  # 80 x 60 when upright
    ]
    reasons = {Path(where).name: why for where, why in manifest.skipped}
    assert reasons["b.jpg"] == "no detection of 0.2 or surer"
    assert "image access" in reasons["c.jpg"]
    assert reasons["lost.jpg"].startswith("no such file")
    assert len(read_manifest(path, confidence=0.15)) == 5
    assert len(read_manifest(path, confidence=0.5)) == 2


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ({"detections": []}, "no 'file'"),
        ({"file": "a.png", "detections": [{"conf": 0.9, "bbox": [0, 0, 1, 1]}]}, "no 'category'"),
        ({"file": "a.png", "detections": [{"category": "1", "conf": 1, "bbox": [0, 1]}]}, "unpack"),
        (7, "images[1]"),
    ],
)
def test_a_broken_megadetector_file_is_one_line(folder: Path, image: Any, says: str) -> None:
    refused(megadetector(folder, [{"file": "a.png", "detections": []}, image]), "images[1]", says)


def test_coco(folder: Path) -> None:
    (folder / "annotations").mkdir()
    (folder / "val2017").mkdir()
    Image.new("RGB", (80, 60)).save(folder / "val2017/c.png")
    value: dict[str, Any] = {
        "images": [
            {"id": 7, "file_name": "a.png"},
            {"id": 8, "file_name": "c.png"},
            {"id": 9, "file_name": "sub/b.jpg"},
        ],
        "categories": [{"id": 3, "name": "cell"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 0},
            {"image_id": 7, "category_id": 3, "bbox": [0, 0, 80, 60], "iscrowd": 1},
            {"image_id": 8, "category_id": 3, "bbox": [70.5, 50, 20, 20]},
        ],
    }
    path = write(folder, json.dumps(value), "annotations/instances_val2017.json")
    manifest = read_manifest(path)
    assert [(row.path, row.label, row.box) for row in manifest] == [
        (folder / "a.png", "cell", (1, 2, 3, 4)),
        (folder / "val2017/c.png", "cell", (70.5, 50, 9.5, 10)),
    ]
    assert manifest.skipped == ((str(folder / "sub/b.jpg"), "no annotation"),)
    value["annotations"].append({"image_id": 99, "category_id": 3, "bbox": [1, 2, 3, 4]})
    refused(
        write(folder, json.dumps(value), "annotations/instances_val2017.json"),
        "annotations[3]",
        "no 99",
    )


XML = "<annotation><filename>{}</filename>{}</annotation>"
CELL = (
    "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
    "</bndbox></object>"
)


def test_voc(folder: Path) -> None:
    (folder / "boxes").mkdir()
    (folder / "images").mkdir()
    Image.new("RGB", (80, 60)).save(folder / "images/c.png")
    # corners count from 1 and lie inside: the whole picture is 1, 1, 80, 60
    objects = CELL.format("whole", 1, 1, 80, 60) + CELL.format("one", 80, 60, 80, 60)
    write(folder, XML.format("c.png", objects), "boxes/10.xml")
    write(folder, XML.format("c.png", CELL.format("edge", 0, 0, 5, 5)), "boxes/9.xml")
    write(folder, XML.format("c.png", ""), "boxes/11.xml")
    write(folder, "<annotation>", "boxes/12.xml")
    assert is_manifest(folder / "boxes")
    assert not is_manifest(folder / "images")
    manifest = read_manifest(folder / "boxes")
    assert [(row.label, row.box) for row in manifest] == [
        ("edge", (0, 0, 5, 5)),
        ("whole", (0, 0, 80, 60)),
        ("one", (79, 59, 1, 1)),
    ]
    assert {row.path for row in manifest} == {folder / "images/c.png"}
    assert [(Path(path).name, why[:9]) for path, why in manifest.skipped] == [
        ("11.xml", "no object"),
        ("12.xml", "not laid "),
    ]
    assert len(read_manifest(folder / "boxes/10.xml")) == 2
    (folder / "boxes").rename(folder / "Annotations")
    assert is_manifest(folder)
    assert len(read_manifest(folder)) == 3


def test_xml_beside_its_photos(folder: Path) -> None:
    write(folder, XML.format("a.png", CELL.format("cell", 1, 1, 9, 9)), "a.xml")
    write(folder, XML.format("side.jpg", ""), "side.xml")
    Image.new("RGB", (9, 9)).save(folder / "bare.png")
    manifest = read_manifest(folder)
    assert [(row.path.name, row.label) for row in manifest] == [("a.png", "cell")]
    assert {Path(path).name: why for path, why in manifest.skipped} == {
        "side.xml": "no object",
        "bare.png": "no annotation",
    }


def test_other_xml_does_not_make_a_folder_a_manifest(folder: Path) -> None:
    write(folder, "<metadata><title>photos</title></metadata>", "about.xml")
    assert not is_manifest(folder)


@pytest.mark.data("blood-cells-sample")
def test_blood_cells(data_root: Callable[[str], Path]) -> None:
    """All 120 photos, the three kinds of cells, and every box inside its picture."""
    manifest = read_manifest(data_root("blood-cells-sample") / "boxes")
    counts = Counter(manifest.labels)
    assert set(counts) == {"RBC", "WBC", "Platelets"}
    assert counts["RBC"] > 1000
    assert len({row.path for row in manifest}) == 120
    boxes = np.array([row.box for row in manifest])
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= (640, 480)).all()
