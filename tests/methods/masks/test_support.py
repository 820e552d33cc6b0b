from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from handful.data.pictures import Cutout
from handful.data.segmentation.folder import read_folder
from handful.data.support import Support
from handful.errors import InputError
from handful.methods.masks.refining import box_mask
from handful.methods.masks.support import gather, gather_examples


def image(size: tuple[int, int] = (20, 30)) -> NDArray[np.uint8]:
    return np.zeros((*size, 3), np.uint8)


def mask(size: tuple[int, int] = (20, 30)) -> NDArray[np.uint8]:
    found = np.zeros(size, np.uint8)
    found[5:9, 5:9] = 7
    return found


def test_any_value_but_zero_is_the_object() -> None:
    classes, (example,) = gather_examples(image(), mask())
    assert classes == ["object"]
    assert example.masks["object"].tolist() == (mask() != 0).astype(int).tolist()


def test_a_picture_given_twice_is_one_example_of_both() -> None:
    photo, other = image(), np.flipud(mask()).copy()
    classes, examples = gather_examples(
        [photo, photo, photo], [mask(), other, other], ["b", "a", "b"]
    )
    assert classes == ["a", "b"]
    assert len(examples) == 1
    # two objects of one class in one picture: both
    assert (examples[0].masks["b"] == ((mask() > 0) | (other > 0))).all()
    same = gather_examples([photo], [{"a": other, "b": mask()}])
    assert (same[0], len(same[1])) == (classes, 1)


@pytest.mark.parametrize(("images", "masks", "labels", "match"), [
    ([image()], None, None, "without masks"),
    ([image()], [mask(), mask()], None, "1 images, 2 masks"),
    ([], [], None, "at least one"),
    ([image()], [mask()], ["a", "b"], "2 labels"),
    ([image()], [mask((9, 9))], None, "example 0: the mask is 9 x 9, but its picture 30 x 20"),
    ([image()], [np.zeros((20, 30), bool)], None, "example 0: the mask is empty"),
    ([image()], [np.ones((20, 30), bool)], None, "covers the whole picture"),
])  # fmt: skip
def test_what_cannot_be_learned_from_is_said_in_one_line(
    images: object, masks: object, labels: object, match: str
) -> None:
    with pytest.raises(InputError, match=match) as error:
        gather_examples(images, masks, labels)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_one_empty_mask_among_several_shows_surroundings() -> None:
    _, examples = gather_examples([image(), image()], [mask(), np.zeros((20, 30), np.uint8)])
    assert len(examples) == 2


def test_a_folder_gives_the_classes_that_its_masks_show(tmp_path: Path) -> None:
    for name in ("a", "b", "nothing"):
        values = np.zeros((20, 30), np.uint8)
        values[2:6, 2:6] = {"a": 1, "b": 3, "nothing": 0}[name]
        values[10, 10] = 255
        for folder, picture in (("images", image()), ("masks", values)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / folder / f"{name}.png")
    (tmp_path / "classes.txt").write_text("1 cat\n2 dog\n3 cow\n")
    classes, examples = gather_examples(read_folder(tmp_path))
    assert classes == ["cat", "cow"]
    shown = {Path(str(e.image)).stem: set(e.masks) for e in examples}
    # what shows no class is surroundings of all
    assert shown == {"a": {"cat"}, "b": {"cow"}, "nothing": {"cat", "dog", "cow"}}
    assert examples[0].masks["cat"][10, 10] == 255


def disc(row: int, column: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:60, :80]
    photo = np.full((60, 80, 3), 50, np.uint8)
    photo[(y - row) ** 2 + (x - column) ** 2 < 100] = (240, 200, 30)
    return photo


def test_boxes_become_masks_by_grabcut() -> None:
    photo = disc(30, 25)
    box = (10.0, 15.0, 30.0, 30.0)
    found = gather(Cutout(photo, box), None, "egg")
    assert (found.classes, found.taught) == (["egg"], "boxes")
    (example,) = found.examples
    assert example.masks["egg"].tolist() == box_mask(photo, box).tolist()
    assert example.picture is photo
    assert gather(Cutout(photo, box)).classes == ["object"]
    # two boxes of one picture are one example
    two = np.maximum(photo, disc(30, 60))
    both = gather([Cutout(two, box), Cutout(two, (45, 15, 30, 30))], None, ["egg", "egg"])
    (example,) = both.examples
    assert example.masks["egg"][30, 25] == example.masks["egg"][30, 60] == 1
    with pytest.raises(InputError, match="example 1: has no box"):
        gather([Cutout(photo, box), image()], None, ["egg", "egg"])


def test_labels_alone_say_nothing_of_where() -> None:
    photos = [disc(30, 25), disc(20, 40), image()]
    found = gather(photos, None, ["b", "a", "b"])
    assert (found.classes, found.taught) == (["a", "b"], "labels")
    for example, photo, label in zip(found.examples, photos, ("b", "a", "b"), strict=True):
        assert list(example.masks) == [label]
        assert example.masks[label].shape == photo.shape[:2]
        assert (example.masks[label] == 255).all()
    support = Support.from_arrays(photos, ["b", "a", "b"])
    assert gather(support).classes == ["a", "b"]
    masked = Support.from_arrays(photos[:1], ["b"], masks=[disc(30, 25)[..., 0] > 90])
    assert gather(masked).taught == "masks"
    for labels, line in ((["a"], "3 images, 1 labels"), (None, "a mask, a box or a label")):
        with pytest.raises(InputError, match=line):
            gather(photos, None, labels)
