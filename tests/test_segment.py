"""The verb on drawn photos: discs and squares of known colours on a noisy ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone

from handful.answers import Segmentations
from handful.data.pictures import Cutout
from handful.data.samples import nuclei
from handful.data.support import Support
from handful.errors import InputError
from handful.methods.choice import UNMASKED
from handful.methods.masks.zoom import Zoom
from handful.report.segmentation import Segmented
from handful.segment import Segmenter

Pixels = NDArray[np.uint8]
COLOURS = {"red": (220, 40, 30), "blue": (30, 60, 220)}


def scene(seed: int, *labels: str, size: tuple[int, int] = (120, 160)) -> tuple[Pixels, Pixels]:
    """A photo with one disc for each label, and a mask of their numbers, from 1 on."""
    rng = np.random.default_rng(seed)
    photo = rng.normal(120, 12, (*size, 3))
    numbers = np.zeros(size, np.uint8)
    y, x = np.mgrid[: size[0], : size[1]]
    for place, label in enumerate(labels):
        row = size[0] * (0.3 + 0.4 * rng.random())
        column = size[1] * (0.25 + 0.5 * place + 0.1 * rng.random())
        disc = (y - row) ** 2 + (x - column) ** 2 < (size[0] * 0.19) ** 2
        photo[disc] = np.array(COLOURS[label]) + rng.normal(0, 8, (int(disc.sum()), 3))
        numbers[disc] = place + 1
    return photo.clip(0, 255).astype(np.uint8), numbers


def iou(found: NDArray[np.bool_] | None, truth: NDArray[np.bool_]) -> float:
    assert found is not None
    return float((found & truth).sum() / (found | truth).sum())


@pytest.fixture(scope="module")
def fitted() -> Segmenter:
    photo, numbers = scene(0, "red", "blue")
    return Segmenter().fit([photo], [{"red": numbers == 1, "blue": numbers == 2}])


def test_both_classes_are_found_at_the_size_of_the_query(fitted: Segmenter) -> None:
    photo, numbers = scene(1, "blue", "red", size=(150, 210))
    found = fitted.predict(photo)
    assert found.size == (150, 210)
    assert [region.label for region in found] == ["blue", "red"] == fitted.classes_.tolist()
    assert iou(found["blue"].mask, numbers == 1) > 0.7
    assert iou(found["red"].mask, numbers == 2) > 0.7
    assert not (found.masks["blue"] & found.masks["red"]).any()  # type: ignore[operator]
    assert all(region.objects >= 1 and 0 <= region.score <= 1 for region in found)


def test_one_in_one_out_and_a_list_in_a_list_out(fitted: Segmenter, tmp_path: Path) -> None:
    photo, _ = scene(2, "red")
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    many = fitted.predict(paths, on_error="skip")
    assert isinstance(many, Segmentations)
    assert [Path(str(found.image)).name for found in many] == ["a.png"]
    assert Path(many.skipped[0][0]).name == "b.png"
    one = fitted.predict(str(paths[0]))
    assert one.to_json() == many[0].to_json()
    with pytest.raises(InputError, match=r"b\.png"):
        fitted.predict(paths)


def test_saved_and_loaded_it_answers_the_same_to_the_bit(fitted: Segmenter, tmp_path: Path) -> None:
    fitted.save(tmp_path / "s")
    again = Segmenter.load(tmp_path / "s")
    photo, _ = scene(3, "red", "blue", size=(100, 90))
    before, after = fitted.predict(photo), again.predict(photo)
    for first, second in zip(before, after, strict=True):
        assert (first.label, first.score) == (second.label, second.score)
        assert np.array_equal(first.instances, second.instances)  # type: ignore[arg-type]
    assert (again.threshold_, again.zoom_) == (fitted.threshold_, fitted.zoom_)
    (tmp_path / "s" / "fitted.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="missing or not the file"):
        Segmenter.load(tmp_path / "s")


def test_a_rejected_class_takes_no_pixel_from_another(fitted: Segmenter) -> None:
    photo, _ = scene(4, "red", "blue")
    scores = [region.score for region in fitted.predict(photo)]
    strict = clone(fitted).set_params(reject=1.0)
    strict.__dict__.update({k: v for k, v in fitted.__dict__.items() if k.endswith("_")})
    nothing = strict.predict(photo)
    assert [(r.present, r.mask, r.area, r.objects) for r in nothing] == [(False, None, 0.0, 0)] * 2
    assert [region.score for region in nothing] == scores
    assert strict.threshold_ == 1.0


def test_the_wrong_mask_among_five_is_named() -> None:
    pairs = [scene(seed, "red") for seed in range(5)]
    masks = [numbers > 0 for _, numbers in pairs]
    masks[3] = np.zeros_like(masks[3])
    masks[3][:30, -40:] = True
    check = Segmenter().fit([photo for photo, _ in pairs], masks).check_
    assert check is not None
    assert check.tested == 5
    assert [suspect.index for suspect in check.suspects] == [3]
    assert Segmenter().fit(*pairs[0]).check_ is None


def test_grey_and_16_bit_pictures_are_segmented(tmp_path: Path) -> None:
    _, numbers = scene(5, "red")
    grey = np.where(numbers > 0, 230, 60).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "g.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "w.png")
    segmenter = Segmenter().fit(tmp_path / "g.png", numbers)
    eight, sixteen = (segmenter.predict(tmp_path / f"{n}.png")["object"].mask for n in "gw")
    assert iou(eight, numbers > 0) > 0.7
    assert iou(sixteen, numbers > 0) > 0.7


def test_an_object_of_one_pixel_is_learned_from() -> None:
    photo = np.full((60, 60, 3), 50, np.uint8)
    photo[30, 30] = 255
    segmenter = Segmenter(min_area=0).fit(photo, photo[..., 0] > 200)
    found = segmenter.predict(photo)["object"]
    assert segmenter.zoom_ == Zoom(8.0, 1.0)
    assert found.mask is None or found.mask[28:33, 28:33].any()


def test_what_it_stands_on_is_said_and_errors_are_lines() -> None:
    with pytest.raises(InputError, match="call fit"):
        Segmenter().predict(np.zeros((8, 8, 3), np.uint8))
    photo, numbers = scene(0, "red")
    with pytest.raises(InputError, match="reject=2"):
        Segmenter(reject=2).fit(photo, numbers)
    with pytest.raises(InputError, match="no such method"):
        Segmenter("unknown").fit(photo, numbers)
    blind = Segmenter("whole", refine=None).fit(photo, numbers)
    assert blind.predict(photo)["object"].area == 1.0
    with pytest.raises(InputError, match="could be saved"):
        blind.save("nowhere")


def test_parameters_are_only_stored() -> None:
    segmenter = Segmenter(model="whole", reject=None, split=True, min_area=3)
    again = clone(segmenter)
    assert again.get_params() == segmenter.get_params()
    assert [name for name in vars(again) if name.endswith("_")] == []


def test_nuclei_of_the_sample_are_found_and_counted() -> None:
    sample = nuclei()
    segmenter = Segmenter(split=True).fit(sample.support)
    paths = [sample.queries.photo(place) for place in range(len(sample.queries))]
    counts = Segmented(sample.support, segmenter.predict(paths), sample.truth).counts()
    assert counts["objects"] == sum(int(truth.max()) for truth in sample.truth) == 87
    assert counts["iou"] > 0.75
    assert 72 <= counts["counted"] <= 92


def unlike() -> tuple[Pixels, Pixels]:
    """Two photos of one thing each, of other colours and forms, on the same noisy ground."""
    rng = np.random.default_rng(7)
    photos = rng.normal(120, 12, (2, 120, 120, 3))
    y, x = np.mgrid[:120, :120]
    photos[0, (y - 60) ** 2 + (x - 60) ** 2 < 35**2] = COLOURS["red"]
    photos[1, 30:90, 20:100:2] = COLOURS["blue"]
    one, two = photos.clip(0, 255).astype(np.uint8)
    return one, two


def test_labels_alone_teach_where_pictures_are_alike(tmp_path: Path) -> None:
    disc, bars = unlike()
    segmenter = Segmenter(reject=None, refine=None).fit([disc, bars], labels=["disc", "bars"])
    assert (segmenter.method_.name, segmenter.check_) == (UNMASKED, None)
    assert "labels alone" in segmenter.chosen_
    query = np.concatenate([disc, bars], axis=1)
    found = segmenter.predict(query)
    disc_, bars_ = found["disc"].mask, found["bars"].mask
    assert disc_ is not None
    assert bars_ is not None
    # each is marked in its own half
    assert disc_[:, :120].sum() > 4 * disc_[:, 120:].sum()
    assert bars_[:, 120:].sum() > 4 * bars_[:, :120].sum()
    segmenter.save(tmp_path / "s")
    again = Segmenter.load(tmp_path / "s").predict(query)
    for before, after in zip(found, again, strict=True):
        assert before.score == after.score
        assert np.array_equal(before.instances, after.instances)


def test_one_class_of_a_support_is_enough() -> None:
    disc, bars = unlike()
    segmenter = Segmenter(reject=None).fit(Support.from_arrays([disc], ["disc"], min_classes=1))
    scores = [segmenter.predict(photo)["disc"].score for photo in (disc[:, ::-1], bars)]
    assert scores[0] > scores[1]
    assert segmenter.fit(disc, labels="disc").classes_.tolist() == ["disc"]


def test_a_model_that_learns_from_masks_says_so() -> None:
    disc, bars = unlike()
    with pytest.raises(InputError, match="labels alone; give masks, or take the model attention"):
        Segmenter("prototypes").fit([disc, bars], labels=["disc", "bars"])
    with pytest.raises(InputError, match="a mask, a box or a label"):
        Segmenter().fit([disc, bars])
    # masks are no use to a model that does not look at them, and no harm
    mask = disc[..., 0] > 180
    given = Segmenter("attention", reject=None).fit([disc], [mask], ["disc"])
    plain = Segmenter("attention", reject=None).fit([disc], labels=["disc"])
    one, other = given.predict(bars)["disc"], plain.predict(bars)["disc"]
    assert np.array_equal(one.instances, other.instances)  # type: ignore[arg-type]


def test_boxes_teach_by_the_masks_that_grabcut_makes() -> None:
    photo, numbers = scene(0, "red")
    rows, columns = np.flatnonzero(numbers.any(1)), np.flatnonzero(numbers.any(0))
    top, left = int(rows[0]) - 4, int(columns[0]) - 4
    box = (left, top, int(columns[-1]) - left + 5, int(rows[-1]) - top + 5)
    segmenter = Segmenter().fit([Cutout(photo, box)], labels=["red"])
    assert "GrabCut made their masks" in segmenter.chosen_
    query, truth = scene(1, "red")
    assert iou(segmenter.predict(query)["red"].mask, truth > 0) > 0.7
