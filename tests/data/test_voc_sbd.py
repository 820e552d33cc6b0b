from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from handful.data.pascal5i import image_class_counts
from handful.data.voc_sbd import join_masks, main
from handful.errors import InputError
from handful.images import read_mask


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """VOC has a to train and v to test; SBD has a, b and, among its training photos, v."""
    voc, sbd = tmp_path / "VOC2012", tmp_path / "dataset"
    for folder in (voc / "SegmentationClass", voc / "ImageSets/Segmentation", sbd / "cls"):
        folder.mkdir(parents=True)
    for name, value in (("a", 3), ("v", 4)):
        values = np.full((70, 80), value, np.uint8)
        values[0] = 255
        Image.fromarray(values).save(voc / f"SegmentationClass/{name}.png")
    for name, value in (("a", 5), ("b", 6), ("v", 7)):
        values = np.full((70, 80), value, np.uint8)
        savemat(sbd / f"cls/{name}.mat", {"GTcls": {"Segmentation": values, "Boundaries": 0}})
    (voc / "ImageSets/Segmentation/train.txt").write_text("a\n")
    (voc / "ImageSets/Segmentation/val.txt").write_text("v\n")
    (sbd / "train.txt").write_text("a\nv\n")
    (sbd / "val.txt").write_text("b\n")
    return voc, sbd


def test_vocs_own_masks_win_and_no_test_photo_is_trained_on(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    voc, sbd = folders
    assert main([str(voc), str(sbd)]) == 0
    assert capsys.readouterr().out == "3 masks, 2 photos to train on\n"
    assert (voc / "ImageSets/Segmentation/train_aug.txt").read_text() == "a\nb\n"
    for name, values in (("a", {3, 255}), ("b", {6}), ("v", {4, 255})):
        assert set(np.unique(read_mask(voc / f"SegmentationClassAug/{name}.png"))) == values
    train = image_class_counts(voc, "train")
    assert {number for number, count in train.items() if count} == {3, 6}
    assert image_class_counts(voc, "val")[4] == 1


def test_what_is_missing_or_damaged_is_one_clear_line(folders: tuple[Path, Path]) -> None:
    voc, sbd = folders
    (sbd / "cls/b.mat").write_bytes(b"no")
    with pytest.raises(InputError, match=r"b\.mat: damaged"):
        join_masks(voc, sbd)
    assert not (voc / "ImageSets/Segmentation/train_aug.txt").exists()
    (sbd / "cls/b.mat").unlink()
    with pytest.raises(InputError, match=r"b\.mat: is missing"):
        join_masks(voc, sbd)
    assert main([str(voc), str(sbd)]) == 2
    (sbd / "val.txt").unlink()
    with pytest.raises(InputError, match=r"val\.txt: No such file"):
        join_masks(voc, sbd)
