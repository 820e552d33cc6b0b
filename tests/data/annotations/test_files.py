"""COCO, LabelMe and tables: read what others write, and back."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.data.annotations.coco import read_coco, write_coco
from handful.data.annotations.labelme import read_labelme, write_labelme
from handful.data.annotations.objects import FoundImage, FoundObject, write_table
from handful.data.annotations.runs import encode, pack
from handful.errors import InputError

SQUARE = [1, 1, 5, 1, 5, 5, 1, 5]


def coco(path: Path, annotations: list[dict[str, Any]]) -> Path:
    described = {
        "images": [{"id": 7, "file_name": "a.jpg", "height": 10, "width": 12}],
        "categories": [{"id": 9, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [{"id": i, "image_id": 7} | a for i, a in enumerate(annotations)],
    }
    path.write_text(json.dumps(described))
    return path


def test_coco_masks_are_the_union_of_instances_without_crowds(tmp_path: Path) -> None:
    other = np.zeros((10, 12), bool)
    other[8:, 10:] = True
    third = np.zeros((10, 12), bool)
    third[0, 0] = True
    file = read_coco(
        coco(
            tmp_path / "a.json",
            [
                {"category_id": 2, "segmentation": [SQUARE, [7, 1, 9, 1, 9, 3, 7, 3]]},
                {"category_id": 2, "segmentation": [[3, 3, 7, 3, 7, 7, 3, 7]]},
                {"category_id": 2, "segmentation": {"size": [10, 12], "counts": encode(other)}},
                {
                    "category_id": 2,
                    "segmentation": {"size": [10, 12], "counts": pack(encode(third))},
                },
                {"category_id": 2, "iscrowd": 1, "segmentation": [[0, 0, 12, 0, 12, 10, 0, 10]]},
            ],
        )
    )
    assert file.labels == ("cat", "dog")
    (image,) = file.images
    wanted = other | third
    wanted[1:5, 1:5] = wanted[3:7, 3:7] = wanted[1:3, 7:9] = True
    assert np.array_equal(image.mask("cat"), wanted)
    assert image.labels == ("cat",)
    assert not image.mask("dog").any()


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        ({"category_id": 5, "segmentation": [SQUARE]}, "no category 5"),
        ({"category_id": 2, "segmentation": [[1, 1, 2]]}, "make no polygon"),
        ({"category_id": 2, "image_id": 8, "segmentation": [SQUARE]}, "no image 8"),
        ({"segmentation": [SQUARE]}, "damaged"),
    ],
)
def test_wrong_coco_files_are_one_clear_line(
    tmp_path: Path, annotation: dict[str, Any], says: str
) -> None:
    path = coco(tmp_path / "a.json", [annotation])
    with pytest.raises(InputError, match=says) as caught:
        read_coco(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_masks_that_do_not_fit_their_picture_are_refused(tmp_path: Path) -> None:
    far = {"category_id": 2, "segmentation": [[20, 20, 30, 20, 30, 30]]}
    runs = {"category_id": 2, "segmentation": {"size": [3, 3], "counts": [4, 5]}}
    for annotation, says in ((far, "outside the 12 x 10 image"), (runs, "3 x 3, but its image")):
        (image,) = read_coco(coco(tmp_path / "a.json", [annotation])).images
        with pytest.raises(InputError, match=says):
            image.mask("cat")
    (image,) = read_coco(
        coco(tmp_path / "a.json", [{"category_id": 2, "segmentation": [SQUARE]}])
    ).images
    with pytest.raises(InputError, match="annotated at 12 x 10, but the image is 10 x 12"):
        image.mask("cat", (12, 10))


def found(seed: int) -> FoundImage:
    rng = np.random.default_rng(seed)
    masks = [rng.random((9, 14)) < 0.6 for _ in range(3)]
    masks[0][2:7, 2:7] = True
    masks[0][4, 4] = False  # a hole for certain
    objects = tuple(FoundObject(label, m, 0.5) for label, m in zip("aba", masks, strict=True))
    return FoundImage("images/x.jpg", (9, 14), objects)


@pytest.mark.parametrize("seed", range(5))
def test_coco_and_labelme_give_back_every_pixel_that_was_written(tmp_path: Path, seed: int) -> None:
    image = found(seed)
    write_coco(tmp_path / "c.json", [image], labels=["b"])
    write_labelme(tmp_path / "l.json", image)
    (by_coco,) = read_coco(tmp_path / "c.json").images
    by_labelme = read_labelme(tmp_path / "l.json")
    for label in "ab":
        wanted = np.any([o.mask for o in image.objects if o.label == label], axis=0)
        assert np.array_equal(by_coco.mask(label), wanted)
        assert np.array_equal(by_labelme.mask(label), wanted)
    assert read_coco(tmp_path / "c.json").labels == ("b", "a")
    assert by_labelme.path == "images/x.jpg"


def test_labelme_shapes(tmp_path: Path) -> None:
    piece = np.array([[0, 1], [1, 1]], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(piece * 255).save(buffer, "PNG")
    drawn = [
        {"label": "box", "shape_type": "rectangle", "points": [[5, 4], [1, 1]]},
        {"label": "disc", "shape_type": "circle", "points": [[10, 10], [10, 14]]},
        {
            "label": "bits",
            "shape_type": "mask",
            "points": [[3, 2], [4, 3]],
            "mask": base64.b64encode(buffer.getvalue()).decode(),
        },
        {"label": "line", "shape_type": "line", "points": [[0, 0], [9, 9]]},
    ]
    path = tmp_path / "x.json"
    value = {"shapes": drawn, "imagePath": "x.jpg", "imageHeight": 20, "imageWidth": 22}
    path.write_text(json.dumps(value))
    image = read_labelme(path)
    assert image.labels == ("box", "disc", "bits")
    assert image.mask("box").nonzero()[0].tolist() == [1] * 4 + [2] * 4 + [3] * 4
    rows, columns = np.mgrid[:20, :22] + 0.5
    disc = np.hypot(columns - 10, rows - 10) <= 4
    assert np.count_nonzero(image.mask("disc") != disc) <= 4  # a circle of 128 corners
    assert image.mask("bits")[2:4, 3:5].tolist() == piece.tolist()
    drawn[2]["points"] = [[21, 2], [22, 3]]
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match="reach out of the 22 x 20 image"):
        read_labelme(path).mask("bits")


def test_other_json_is_no_annotation(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[]")
    with pytest.raises(InputError, match="no COCO file"):
        read_coco(path)
    with pytest.raises(InputError, match="no LabelMe file"):
        read_labelme(path)
    path.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        read_coco(path)


def test_the_table_has_one_row_for_each_object(tmp_path: Path) -> None:
    mask = np.zeros((10, 10), bool)
    mask[2:4, 5:9] = True
    image = FoundImage("a.png", (10, 10), (FoundObject("cell", mask, 0.75),))
    write_table(tmp_path / "t.csv", [image], pixel_size=0.5)
    with (tmp_path / "t.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["image"] == "a.png"
    assert row["object"] == "1"
    numbers = {key: float(v) for key, v in row.items() if key not in ("image", "object", "label")}
    assert numbers == {
        "score": 0.75,
        "area": 8,
        "centroid_x": 7,
        "centroid_y": 3,
        "x": 5,
        "y": 2,
        "width": 4,
        "height": 2,
        "area_um2": 2,
        "centroid_x_um": 3.5,
        "centroid_y_um": 1.5,
        "x_um": 2.5,
        "y_um": 1,
        "width_um": 2,
        "height_um": 1,
    }


def test_an_object_with_a_box_alone_has_no_mask(tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", [{"category_id": 2, "bbox": [1, 2, 3, 4]}])
    (image,) = read_coco(path).images
    assert image.shapes[0].box == (1, 2, 3, 4)
    assert image.labels == ()
    with pytest.raises(InputError, match="a box and no mask"):
        image.shapes[0].mask(image.size)
