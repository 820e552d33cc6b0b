from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.data.annotations.classes import numbered, read_classes, resolve
from handful.data.annotations.mask import class_mask, mask_values, write_labels, write_mask
from handful.errors import InputError


def test_without_classes_any_value_is_the_object_and_with_them_255_is_void() -> None:
    values = np.array([[0, 1, 7, 255]])
    assert class_mask(values, None).tolist() == [[0, 1, 1, 1]]
    assert class_mask(values, 1).tolist() == [[0, 1, 0, 255]]
    assert class_mask(values, 1, void=(0, 255)).tolist() == [[255, 1, 0, 255]]


def test_palette_grey_and_16_bit_masks_keep_their_values(tmp_path: Path) -> None:
    values = np.array([[0, 3], [255, 2]], np.uint8)
    palette = Image.fromarray(values, mode="P")
    palette.putpalette(list(range(255, -1, -1)) * 3)  # colours that say something else
    palette.save(tmp_path / "palette.png")
    Image.fromarray(values).save(tmp_path / "grey.png")
    wide = np.array([[0, 300], [65535, 2]], np.uint16)
    Image.fromarray(wide).save(tmp_path / "instances.png")
    assert np.array_equal(mask_values(tmp_path / "palette.png"), values)
    assert np.array_equal(mask_values(tmp_path / "grey.png"), values)
    assert np.array_equal(mask_values(tmp_path / "instances.png"), wide)
    assert class_mask(wide, None).tolist() == [[0, 1], [1, 1]]


def test_a_mask_of_another_size_and_an_empty_one_are_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(path)
    with pytest.raises(InputError, match=r"a\.png: the mask is 6 x 4, but its photo 4 x 6"):
        mask_values(path, (6, 4))
    with pytest.raises(InputError, match=r"a\.png: the mask is empty"):
        mask_values(path, (4, 6), empty=False)
    assert not mask_values(path, (4, 6)).any()


def test_written_masks_are_read_by_pillow(tmp_path: Path) -> None:
    write_mask(tmp_path / "m.png", np.array([[0, 1], [255, 1]], np.uint8))
    with Image.open(tmp_path / "m.png") as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), [[0, 255], [0, 255]])
    write_mask(tmp_path / "b.png", np.array([[True, False]]))
    assert mask_values(tmp_path / "b.png").tolist() == [[255, 0]]
    for name, numbers, kind in (
        ("few.png", [[0, 255]], np.uint8),
        ("many.png", [[0, 256]], np.uint16),
        ("few.tif", [[0, 3]], np.uint16),
    ):
        write_labels(tmp_path / name, np.array(numbers))
        values = mask_values(tmp_path / name)
        assert values.tolist() == numbers
        assert values.dtype == kind
    with pytest.raises(InputError, match="0 to 65,535"):
        write_labels(tmp_path / "x.png", np.array([[65536]]))
    with pytest.raises(InputError, match="lose nothing"):
        write_mask(tmp_path / "x.jpg", np.array([[1]]))


def test_lists_of_classes(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("# colours\n__ignore__\n_background_\ncell\n\nnucleus\n")
    assert read_classes(path) == {"cell": 1, "nucleus": 2}
    path.write_text("0 void\n3 traffic light\n")
    assert read_classes(path) == {"traffic light": 3}
    path.write_text("1 cat\n1 dog\n")
    with pytest.raises(InputError, match="stands twice"):
        read_classes(path)
    path.write_text("background\n")
    with pytest.raises(InputError, match="names no class"):
        read_classes(path)
    with pytest.raises(InputError, match="No such file"):
        read_classes(tmp_path / "none.txt")
    assert numbered(["7", "2"]) == {"7": 7, "2": 2}
    with pytest.raises(InputError, match=r"^here: no class 'cow'; it has cat, dog$"):
        resolve(["cow"], ["cat", "dog"], "here", {})


def test_an_empty_list_of_classes_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("# nothing\n")
    with pytest.raises(InputError, match="names no class"):
        read_classes(path)
