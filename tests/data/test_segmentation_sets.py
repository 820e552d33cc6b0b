"""Sets of segmentation in the published layouts, small and drawn from a seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from handful.data import coco20i, msrc, pascal5i, voc
from handful.data.fss1000 import read_fss1000
from handful.data.segmentation.folder import read_folder
from handful.data.segmentation.photos import resized_mask
from handful.errors import InputError

Values = NDArray[np.uint8]


def save_photo(path: Path, size: tuple[int, int], seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def save_mask(path: Path, values: Values) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_voc(root: Path, masks: dict[str, Values], lists: dict[str, list[str]]) -> Path:
    """Write VOC's folder: masks by name, and lists of names."""
    for seed, (name, values) in enumerate(masks.items()):
        save_photo(root / "JPEGImages" / f"{name}.jpg", values.shape, seed)
        save_mask(root / "SegmentationClassAug" / f"{name}.png", values)
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return root


def random_masks(count: int, classes: list[int], seed: int = 0) -> dict[str, Values]:
    """Rectangles of one or two classes on background, with a void border."""
    rng = np.random.default_rng(seed)
    masks = {}
    for number in range(count):
        values = np.zeros((rng.integers(60, 90), rng.integers(60, 90)), np.uint8)
        for value in rng.permutation(classes)[: rng.integers(1, 3)]:
            top, left = rng.integers(0, 25, 2)
            values[top : top + 30, left : left + 35] = value
            values[top, left : left + 35] = 255
        masks[f"2007_{number:06d}"] = values
    return masks


def write_coco(root: Path, photos: int, split: str = "val2014") -> Path:
    """Write COCO's folder: eight categories with gaps in their numbers, squares of two of them."""
    numbers = [1, 2, 3, 5, 8, 13, 21, 34]
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for i in range(photos):
        name = f"COCO_{split}_{i:012d}.jpg"
        save_photo(root / split / name, (40, 50), i)
        images.append({"id": 100 + i, "file_name": name, "height": 40, "width": 50})
        for step in range(2):
            x = 2 + 20 * step
            square = [x, 5, x + 15, 5, x + 15, 20, x, 20]
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": 100 + i,
                    "category_id": numbers[(i + step) % len(numbers)],
                    "segmentation": [square],
                    "iscrowd": 0,
                }
            )
    value = {
        "images": images,
        "annotations": annotations,
        # not in the order of their numbers
        "categories": [{"id": n, "name": f"class{n:02d}"} for n in reversed(numbers)],
    }
    path = root / "annotations" / f"instances_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return root


def write_fss(root: Path, classes: list[str], photos: int = 4) -> Path:
    """Write FSS-1000's folder."""
    for number, label in enumerate(classes):
        for i in range(1, photos + 1):
            save_photo(root / label / f"{i}.jpg", (24, 24), 10 * number + i)
            values = np.zeros((24, 24), np.uint8)
            values[4:12, 4 : 8 + i] = 255
            values[12, 4 : 8 + i] = 90  # a soft edge, below the level
            save_mask(root / label / f"{i}.png", values)
    return root


def write_pairs(root: Path, masks: dict[str, Values]) -> Path:
    """Write images/ and masks/."""
    for seed, (name, values) in enumerate(masks.items()):
        save_photo(root / "images" / f"{name}.jpg", values.shape, seed)
        save_mask(root / "masks" / f"{name}.png", values)
    return root


def sampled_counts(masks: dict[str, Values], rule: bool) -> dict[int, int]:
    """Count images of classes 1 to 20, pixel by pixel."""
    counts = dict.fromkeys(range(1, 21), 0)
    for values in masks.values():
        for number in counts:
            hits = sum(
                int(values[y, x]) == number
                for y in range(0, values.shape[0], 32)
                for x in range(0, values.shape[1], 32)
            )
            counts[number] += bool((values == number).any()) and (not rule or hits > 2)
    return counts


def test_image_class_counts_follow_the_published_rule(tmp_path: Path) -> None:
    masks = random_masks(24, [1, 3, 8, 20])
    names = list(masks)
    lists = {"train_aug": names[10:], "val": names[:8]}
    root = write_voc(tmp_path, masks, lists)
    val = {name: masks[name] for name in names[:8]}
    train = {name: masks[name] for name in names[10:]}
    assert pascal5i.image_class_counts(root) == sampled_counts(val, rule=True)
    assert pascal5i.image_class_counts(root, "train") == sampled_counts(train, rule=True)
    raw = pascal5i.image_class_counts(root, "train", small_object_rule=False)
    assert raw == sampled_counts(train, rule=False)
    assert sum(raw.values()) > sum(sampled_counts(train, rule=True).values())
    (root / "ImageSets/Segmentation/val.txt").unlink()
    rest = {name: masks[name] for name in names[:10]}  # all that train_aug does not name
    assert pascal5i.image_class_counts(root) == sampled_counts(rest, rule=True)


def test_pascal5i_folds_and_eligible_photos(tmp_path: Path) -> None:
    assert pascal5i.fold_classes(0) == ("aeroplane", "bicycle", "bird", "boat", "bottle")
    assert [c for f in range(4) for c in pascal5i.fold_classes(f)] == list(voc.CLASSES)
    with pytest.raises(InputError, match="folds 0 to 3"):
        pascal5i.fold_classes(4)
    masks = random_masks(12, [2, 7])
    # an older list: paths of the photo and of the mask
    lines = [f"/JPEGImages/{n}.jpg /SegmentationClassAug/{n}.png" for n in masks]
    root = write_voc(tmp_path, masks, {"val": lines})
    found = pascal5i.read_pascal5i(root)
    counts = pascal5i.image_class_counts(root)
    assert list(found.counts(small_objects=False).values()) == list(counts.values())
    assert (found.eligible <= found.present).all()
    (bicycle,) = found.find(["Bicycle"])
    values = masks["2007_000003"]
    wanted = np.where(values == 255, 255, values == 2)
    assert np.array_equal(found.mask(3, bicycle), wanted)
    assert np.array_equal(found.only(["car", "bicycle"]).mask(3, 1), wanted)


def test_voc_reads_any_list_and_says_what_is_missing(tmp_path: Path) -> None:
    masks = random_masks(6, [13, 17])
    names = list(masks)
    root = write_voc(tmp_path, masks, {"mine": names[:4], "more": names[3:], "none": []})
    both = voc.read_voc(root, ["mine", "more"])
    assert both.paths == tuple(f"JPEGImages/{name}.jpg" for name in names)
    assert both.counts()["horse"] == sum((m == 13).any() for m in masks.values())
    horses = both.showing(["horse"])
    assert len(horses) + len(both.without(["horse"])) == 6
    assert horses.mask(0, horses.find(["horse"])[0]).any()
    with pytest.raises(InputError, match=r"other\.txt: no such list; there are mine, more, none"):
        voc.read_voc(root, ["other"])
    with pytest.raises(InputError, match="the list is empty"):
        voc.read_voc(root, ["none"])
    (root / "SegmentationClassAug" / f"{names[5]}.png").unlink()
    with pytest.raises(InputError, match="is missing, but a list names it"):
        voc.read_voc(root, ["more"])
    (root / "ImageSets/Segmentation/val.txt").write_text("2007_999999\n")
    with pytest.raises(InputError, match="is missing, but a list names it"):
        pascal5i.image_class_counts(root)


def test_a_mask_of_another_size_than_its_photo_is_one_clear_line(tmp_path: Path) -> None:
    root = write_voc(tmp_path, random_masks(1, [1]), {"val": ["2007_000000"]})
    save_photo(root / "JPEGImages/2007_000000.jpg", (9, 9), 0)
    with pytest.raises(InputError, match=r"2007_000000\.jpg: 9 x 9, but its mask is"):
        voc.read_voc(root, ["val"]).checked_mask(0, 0)


def test_coco20i_folds_are_every_fourth_category(tmp_path: Path) -> None:
    found = coco20i.read_coco20i(write_coco(tmp_path, 16))
    numbers = [1, 2, 3, 5, 8, 13, 21, 34]
    assert found.labels == tuple(f"class{n:02d}" for n in numbers)
    for fold in range(4):
        wanted = tuple(f"class{numbers[fold + 4 * v]:02d}" for v in range(2))
        assert coco20i.fold_classes(found, fold) == wanted
    assert found.counts() == dict.fromkeys(found.labels, 4)
    mask = found.checked_mask(0, 1)  # photo 0 shows categories 0 and 1, in this order
    assert mask.sum() == 15 * 15
    assert mask[5:20, 22:37].all()
    with pytest.raises(InputError, match="there are the splits val2014"):
        coco20i.read_coco20i(tmp_path, "train2014")


def test_fss1000_by_split_and_by_name(tmp_path: Path) -> None:
    root = write_fss(tmp_path, ["abacus", "owl", "yo_yo"])
    (root / "splits").mkdir()
    (root / "splits/test.txt").write_text("owl\nyo_yo\n")
    found = read_fss1000(root, "test")
    assert found.labels == ("owl", "yo_yo")
    assert found.counts() == {"owl": 4, "yo_yo": 4}
    assert found.paths[0] == "owl/1.jpg"
    assert found.checked_mask(0, 0).sum() == 8 * 5  # the soft edge is no object
    assert not found.mask(0, 1).any()
    assert read_fss1000(root).labels == ("abacus", "owl", "yo_yo")
    save_mask(root / "abacus/3.png", np.zeros((24, 24), np.uint8))
    assert read_fss1000(root).counts() == {"abacus": 3, "owl": 4, "yo_yo": 4}
    alone = found.only(["yo_yo"]).showing(["yo_yo"])
    assert alone.mask(0, 0).any()
    with pytest.raises(InputError, match="no such list of classes"):
        read_fss1000(root, "val")
    (root / "owl/2.png").unlink()
    with pytest.raises(InputError, match=r"owl/2\.png: the mask of a photo is missing"):
        read_fss1000(root, "test")


def test_a_folder_of_pairs_with_and_without_classes(tmp_path: Path) -> None:
    values = np.zeros((20, 30), np.uint8)
    values[:5], values[10:12], values[19] = 1, 2, 255
    root = write_pairs(tmp_path, {"a": values, "b": np.zeros((9, 9), np.uint8)})
    save_photo(root / "images/c.jpg", (5, 5), 0)
    plain = read_folder(root)
    assert plain.labels == ("object",)
    assert np.array_equal(plain.mask(0, 0), values != 0)
    assert plain.present.tolist() == [[True], [False]]
    assert plain.skipped == (("images/c.jpg", f"no mask of this name in {tmp_path / 'masks'}"),)
    named = read_folder(root, ["cell", "nucleus"])
    assert np.array_equal(named.mask(0, 1), np.where(values == 255, 255, values == 2))
    (root / "classes.txt").write_text("0 void\n2 nucleus\n")
    assert read_folder(root).labels == ("nucleus",)
    assert read_folder(root).present.tolist() == [[True], [False]]


def test_a_folder_of_coco_of_labelme_and_of_voc(tmp_path: Path) -> None:
    photos = tmp_path / "mine"
    save_photo(photos / "images/x.jpg", (40, 50), 0)
    value = {
        "images": [{"id": 1, "file_name": "x.jpg", "height": 40, "width": 50}],
        "categories": [{"id": 1, "name": "owl"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9, 0, 9]]}
        ],
    }
    (photos / "annotations.json").write_text(json.dumps(value))
    for given in (photos, photos / "annotations.json"):
        found = read_folder(given)
        assert found.paths == ("images/x.jpg",)
        assert found.checked_mask(0, 0).sum() == 81
    drawn = tmp_path / "drawn"
    save_photo(drawn / "y.jpg", (40, 50), 0)
    shape = {"label": "owl", "points": [[0, 0], [9, 0], [9, 9], [0, 9]], "shape_type": "polygon"}
    file = {"shapes": [shape], "imagePath": "..\\y.jpg", "imageHeight": 40, "imageWidth": 50}
    (drawn / "y.json").write_text(json.dumps(file))
    assert read_folder(drawn).checked_mask(0, 0).sum() == 81
    masks = random_masks(3, [8])
    root = write_voc(tmp_path / "voc", masks, {})
    assert read_folder(root).counts()["cat"] == 3
    with pytest.raises(InputError, match="no masks; give images/ and masks/"):
        read_folder(tmp_path / "voc/JPEGImages")


def test_a_resized_mask_takes_the_pixel_whose_cell_holds_the_middle() -> None:
    rng = np.random.default_rng(0)
    mask = rng.choice(np.array([0, 1, 255], np.uint8), (37, 53))
    small = resized_mask(mask, (12, 100))
    for y in range(12):
        for x in range(100):
            assert small[y, x] == mask[int((y + 0.5) * 37 / 12), int((x + 0.5) * 53 / 100)]


def test_msrc_leaves_out_four_classes_and_cuts_the_alphabet(tmp_path: Path) -> None:
    # fmt: off
    names = [
        "void", "building", "grass", "tree", "cow", "horse", "sheep", "sky", "mountain",
        "aeroplane", "water", "face",
    ]
    # fmt: on
    root = write_pairs(tmp_path, {"a": np.arange(12, dtype=np.uint8).reshape(3, 4)})
    (root / "classes.txt").write_text("".join(f"{i} {name}\n" for i, name in enumerate(names)))
    found = msrc.read_msrc(root)
    assert found.labels == tuple(sorted(set(names) - {"void", "horse", "mountain", "water"}))
    (cow,) = found.find(["cow"])
    assert found.mask(0, cow).ravel().tolist() == [255, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert msrc.fold_classes(found, 0) == ("aeroplane", "building")
