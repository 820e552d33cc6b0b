"""The Recognizer against sums done by hand, on pictures of plain colours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from torch import Tensor

from handful import Recognizer
from handful.answers import Label, Labels
from handful.data.manifest import read_manifest
from handful.data.pictures import Cutout
from handful.data.samples import omniglot
from handful.data.support import Support
from handful.errors import InputError
from handful.methods.calibration import Calibration


class Colours:
    """Compares mean colours by Euclidean distance; counts what it encodes."""

    name = "colours"
    backbone = "none"

    def __init__(self, calibration: Calibration | None = None, pooled: bool = True) -> None:
        self.calibration = calibration
        self.pooled = pooled
        self.batches: list[int] = []

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        self.batches.append(len(images))
        return torch.stack([torch.from_numpy(i.mean((0, 1)) / 255).float() for i in images])

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return -torch.cdist(query, support, compute_mode="donot_use_mm_for_euclid_dist")

    def pool(self, support: Tensor) -> Tensor | None:
        return support.mean(-2) if self.pooled else None


SURE = Calibration(slope=10.0, offset=3.0, temperature=7.0, reject=0.6, verify=0.5)


def colour(red: int, green: int, blue: int) -> NDArray[np.uint8]:
    return np.full((4, 5, 3), (red, green, blue), np.uint8)


# three classes of one, two and three shots
SHOTS = {
    "red": [(250, 0, 0)],
    "green": [(0, 250, 0), (0, 200, 30)],
    "blue": [(0, 0, 250), (30, 0, 200), (0, 40, 220)],
}
IMAGES = [colour(*shot) for shots in SHOTS.values() for shot in shots]
LABELS = [label for label, shots in SHOTS.items() for _ in shots]
QUERIES = [colour(230, 10, 0), colour(10, 190, 0), colour(0, 10, 190), colour(128, 128, 128)]


def by_hand(pooled: bool) -> NDArray[np.float64]:
    """Return the raw scores of QUERIES; columns blue, green, red."""
    table = []
    for query in QUERIES:
        row = []
        for label in ("blue", "green", "red"):
            shots = np.array(SHOTS[label], float) / 255
            shots = shots.mean(0, keepdims=True) if pooled else shots
            row.append(max(-np.linalg.norm(query[0, 0] / 255 - shot) for shot in shots))
        table.append(row)
    return np.array(table)


@pytest.mark.parametrize("pooled", [True, False])
def test_scores_and_probabilities_are_those_computed_by_hand(pooled: bool) -> None:
    recognizer = Recognizer(Colours(SURE, pooled)).fit(IMAGES, LABELS)
    raw = by_hand(pooled)
    assert recognizer.classes_.tolist() == ["blue", "green", "red"]
    np.testing.assert_allclose(
        recognizer.scores(QUERIES), 1 / (1 + np.exp(-(10 * raw + 3))), rtol=1e-4
    )
    exp = np.exp(7 * raw)
    np.testing.assert_allclose(
        recognizer.predict_proba(QUERIES), exp / exp.sum(1, keepdims=True), rtol=1e-4
    )


def test_labels_ranking_and_rejection() -> None:
    recognizer = Recognizer(Colours(SURE)).fit(IMAGES, LABELS)
    answers = recognizer.predict(QUERIES)
    assert isinstance(answers, Labels)
    assert answers.labels == ("red", "green", "blue", None)
    assert (answers.model, answers.backbone, answers.threshold) == ("colours", "none", 0.6)
    scores = recognizer.scores(QUERIES)
    for answer, row in zip(answers, scores, strict=True):
        assert answer.score == row.max()
        assert sorted(answer.ranking, key=lambda pair: -pair[1]) == list(answer.ranking)
        assert dict(answer.ranking) == dict(zip(recognizer.classes_, row.tolist(), strict=True))


def test_ranking_follows_raw_scores_where_probabilities_saturate() -> None:
    flat = Calibration(slope=1.0, offset=200.0, temperature=1.0, reject=0.5, verify=0.5)
    recognizer = Recognizer(Colours(flat)).fit(IMAGES, LABELS)
    for query, raw in zip(QUERIES, by_hand(True), strict=True):
        ranking = recognizer.predict(query).ranking
        assert [score for _, score in ranking] == [1.0, 1.0, 1.0]
        order = np.array(["blue", "green", "red"])[np.argsort(-raw)]
        assert [label for label, _ in ranking] == order.tolist()


@pytest.mark.parametrize(
    ("reject", "expected"),
    [(None, (None, "blue")), (0.0, (0.0, "blue")), (1.0, (1.0, None)), ("auto", (0.6, None))],
)
def test_reject(reject: float | str | None, expected: tuple[float | None, str | None]) -> None:
    recognizer = Recognizer(Colours(SURE), reject=reject).fit(IMAGES, LABELS)
    assert (recognizer.threshold_, recognizer.predict(QUERIES[3]).label) == expected


def test_a_score_at_the_threshold_is_accepted() -> None:
    recognizer = Recognizer(Colours(SURE), reject=None).fit(IMAGES, LABELS)
    score = recognizer.predict(QUERIES[0]).score
    assert recognizer.set_params(reject=score).predict(QUERIES[0]).label == "red"
    above = float(np.nextafter(score, 1))
    assert recognizer.set_params(reject=above).predict(QUERIES[0]).label is None


def test_without_calibration_nothing_is_rejected_and_scores_keep_their_order() -> None:
    recognizer = Recognizer(Colours()).fit(IMAGES, LABELS)
    answers = recognizer.predict(QUERIES)
    assert answers.threshold is None
    assert answers.labels[:3] == ("red", "green", "blue")
    scores = recognizer.scores(QUERIES)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (np.argsort(scores, axis=None) == np.argsort(by_hand(True), axis=None)).all()
    for ask in (recognizer.predict_proba, lambda q: recognizer.verify(q[0], q[1])):
        with pytest.raises(InputError, match="colours was never calibrated"):
            ask(QUERIES)


def test_one_in_one_out(tmp_path: Path) -> None:
    recognizer = Recognizer(Colours(SURE)).fit(IMAGES, LABELS)
    path = tmp_path / "red.png"
    Image.fromarray(QUERIES[0]).save(path)
    expected = recognizer.predict([QUERIES[0]])[0]
    for one in (QUERIES[0], Image.fromarray(QUERIES[0]), path, str(path)):
        answer = recognizer.predict(one)
        assert isinstance(answer, Label)
        assert answer.ranking == expected.ranking
        assert recognizer.scores(one).shape == recognizer.predict_proba(one).shape == (3,)
    assert recognizer.predict(str(path)).image == str(path)
    assert expected.image is None
    stack: Any = np.stack(QUERIES)
    assert len(recognizer.predict(stack)) == 4
    assert recognizer.predict([]).results == ()
    assert recognizer.scores([]).shape == (0, 3)


def test_support_is_encoded_once_and_queries_in_batches() -> None:
    matcher = Colours(SURE)
    recognizer = Recognizer(matcher).fit(IMAGES, LABELS)
    assert matcher.batches == [6]
    decoded = 0

    def queries() -> Any:
        nonlocal decoded
        for _ in range(150):
            decoded += 1
            assert decoded <= sum(matcher.batches) - 6 + 64 + 65  # a batch, and as many ahead
            yield QUERIES[0]

    assert len(recognizer.predict(queries())) == 150
    assert matcher.batches == [6, 64, 64, 22]


def test_support_object_and_labels_that_are_numbers() -> None:
    support = Support.from_arrays(IMAGES, LABELS)
    assert Recognizer(Colours()).fit(support).predict(QUERIES).labels[0] == "red"
    numbers = Recognizer(Colours()).fit(IMAGES, [len(label) for label in LABELS])
    assert numbers.predict(QUERIES).labels[:3] == ("3", "5", "4")
    assert numbers.score(QUERIES[:3], [3, 5, 5]) == pytest.approx(2 / 3)


def test_verify_compares_a_pair() -> None:
    answer = Recognizer(Colours(SURE)).verify(colour(250, 0, 0), colour(200, 0, 0))
    expected = 1 / (1 + np.exp(-(10 * -50 / 255 + 3)))
    assert answer.same
    assert answer.score == pytest.approx(expected, rel=1e-5)
    assert answer.threshold == 0.5
    assert not Recognizer(Colours(SURE)).verify(colour(250, 0, 0), colour(0, 0, 0)).same


@pytest.mark.parametrize("pooled", [True, False])
def test_check_finds_the_mislabelled_example(pooled: bool) -> None:
    images = [colour(250 - 10 * i, 0, i) for i in range(4)]
    images += [colour(0, 250 - 10 * i, i) for i in range(4)]
    labels = ["red"] * 4 + ["green", "green", "red", "green"]
    images.append(colour(0, 0, 255))
    labels.append("alone")
    check = Recognizer(Colours(SURE, pooled)).fit(images, labels).check_
    assert check is not None
    # compared shot by shot, the mislabelled one also draws a true neighbour to its label; once
    # it is out, that neighbour is right again
    assert (check.accuracy, check.tested) == (7 / 8 if pooled else 6 / 8, 8)
    (suspect,) = check.suspects
    assert (suspect.index, suspect.label, suspect.looks_like) == (6, "red", "green")
    # the example itself is not among those that it is compared with
    others = np.array([[0, 250, 0], [0, 240, 1], [0, 220, 3]]) / 255
    query = np.array([0, 230, 2]) / 255
    if pooled:
        distance = np.linalg.norm(query - others.mean(0))
    else:
        distance = np.linalg.norm(query - others, axis=1).min()
    assert suspect.score == pytest.approx(1 / (1 + np.exp(10 * distance - 3)), rel=1e-4)


def test_check_of_single_shots_and_warnings() -> None:
    single = Recognizer(Colours(SURE)).fit(IMAGES[:2], ["a", "b"])
    assert single.check_ is None
    assert single.predict(QUERIES).warnings == ()
    images = [colour(250, 0, 0), colour(240, 0, 0), colour(0, 0, 250), colour(0, 0, 240)]
    images.append(colour(0, 0, 245))
    swapped = Recognizer(Colours(SURE)).fit(images, ["r", "r", "b", "b", "r"])
    (warning,) = swapped.predict(QUERIES).warnings
    assert "example 4: given as 'r', looks like 'b'" in warning


def test_an_example_like_nothing_else_is_no_suspect() -> None:
    images = [colour(250, 0, 0), colour(0, 0, 250), colour(0, 0, 240), colour(150, 128, 128)]
    check = Recognizer(Colours(SURE)).fit(images, ["r", "b", "b", "b"]).check_
    assert check is not None
    assert check.accuracy == pytest.approx(2 / 3)
    assert check.suspects == ()
    loose = Recognizer(Colours(SURE), reject=None).fit(images, ["r", "b", "b", "b"]).check_
    assert loose is not None
    assert [suspect.index for suspect in loose.suspects] == [3]


@pytest.mark.parametrize("pooled", [True, False])
def test_saved_and_loaded_it_answers_bit_for_bit(pooled: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (4, 4, 3), np.uint8) for _ in range(9)]
    queries = [rng.integers(0, 256, (4, 4, 3), np.uint8) for _ in range(20)]
    matcher = Colours(SURE, pooled)
    recognizer = Recognizer(matcher, reject=0.55).fit(images, list("aaabbbccd"))
    recognizer.save(tmp_path / "saved")
    again = Recognizer.load(tmp_path / "saved", model=Colours(SURE, pooled))
    assert again.predict(queries).results == recognizer.predict(queries).results
    assert np.array_equal(again.predict_proba(queries), recognizer.predict_proba(queries))
    assert again.get_params()["reject"] == 0.55
    assert again.check_ == recognizer.check_
    assert again.images_ == recognizer.images_
    assert sorted(p.name for p in (tmp_path / "saved").iterdir()) == [
        "fitted.json",
        "fitted.safetensors",
    ]


def test_a_model_of_the_zoo_is_found_again(tmp_path: Path) -> None:
    sample = omniglot()
    paths = [query.path for query in sample.queries[:8]]
    recognizer = Recognizer("nearest-neighbour").fit(sample.support)
    recognizer.save(tmp_path)
    again = Recognizer.load(tmp_path)
    assert again.predict(paths).results == recognizer.predict(paths).results
    assert again.matcher_.name == "nearest-neighbour"
    assert again.chosen_ == f"saved in {tmp_path}"


def test_scikit_learn_manner() -> None:
    matcher = Colours(SURE)
    recognizer = Recognizer(model=matcher, reject=2.0)
    rest = {"device": "auto", "size": None, "backbone_weights": None}
    assert recognizer.get_params() == {"model": matcher, "reject": 2.0, **rest}
    assert recognizer.set_params(reject=0.25) is recognizer
    assert recognizer.fit(IMAGES, LABELS) is recognizer
    other = clone(Recognizer(model="hausdorff", reject=None, device="cpu").set_params(reject=0.5))
    rest["device"] = "cpu"
    assert other.get_params() == {"model": "hausdorff", "reject": 0.5, **rest}
    fresh = clone(recognizer)
    assert fresh.reject == 0.25
    with pytest.raises(InputError, match=r"call fit\(images, labels\) first"):
        fresh.predict(QUERIES)


def test_a_failed_fit_leaves_the_fitted_state() -> None:
    recognizer = Recognizer(Colours(SURE)).fit(IMAGES, LABELS)
    with pytest.raises(InputError):
        recognizer.fit(IMAGES[:2], ["a", "a"])
    assert recognizer.predict(QUERIES[0]).label == "red"


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:2], ["a", "a"], "one class only"),
        (IMAGES, LABELS[:-1], "6 images but 5 labels"),
        (IMAGES, None, "the label of each"),
        (IMAGES[0], ["a"], "give a list of images"),
        ([], [], "no examples"),
    ],
)
def test_wrong_examples_are_one_line(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        Recognizer(Colours()).fit(images, labels)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("reject", [-0.1, 1.5, float("nan"), True, "never", [0.5]])
def test_wrong_reject_is_one_line(reject: Any) -> None:
    with pytest.raises(InputError, match=r"'auto', None .never. or a number in \[0, 1\]"):
        Recognizer(Colours(), reject=reject).fit(IMAGES, LABELS)


def test_unreadable_queries_raise_or_are_listed(tmp_path: Path) -> None:
    recognizer = Recognizer(Colours(SURE)).fit(IMAGES, LABELS)
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    with pytest.raises(InputError, match=r"bad\.png"):
        recognizer.predict([QUERIES[0], bad])
    answers = recognizer.predict([QUERIES[0], bad, QUERIES[1]], on_error="skip")
    assert answers.labels == ("red", "green")
    ((path, why),) = answers.skipped
    assert path == str(bad)
    assert "\n" not in why


def test_a_backbone_of_ones_own_is_kept_with_its_size_and_digest(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from handful.backbones import build

    files = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        files.append(tmp_path / f"{seed}.safetensors")
        save_file(build("squeezenet1_1").network.state_dict(), files[-1])
    name, photos = "prototypes:squeezenet1_1", [drawing(8), 255 - drawing(30)]
    fitted = Recognizer(name, device="cpu", size=64, backbone_weights=files[0])
    fitted.fit(photos, ["a", "b"]).save(tmp_path / "saved")
    again = Recognizer.load(tmp_path / "saved", device="cpu", backbone_weights=files[0])
    assert again.size == 64
    assert np.array_equal(again.scores(photos), fitted.scores(photos))
    with pytest.raises(InputError, match="give the same with --backbone-weights"):
        Recognizer.load(tmp_path / "saved", device="cpu", backbone_weights=files[1])


def drawing(column: int) -> np.ndarray:
    page = np.full((60, 60, 3), 255, np.uint8)
    page[8:52, column : column + 4] = 0
    page[30:34, 10:50] = 20
    return page


def test_auto_takes_drawings_and_photos_to_their_models() -> None:
    rng = np.random.default_rng(0)
    ramp = np.mgrid[:80, :90].sum(0)[..., None] * np.array([1.0, 0.7, 0.4])
    photos = [(ramp + rng.normal(0, 9, (80, 90, 3))).clip(0, 255).astype(np.uint8) for _ in "1234"]
    drawings = [drawing(column) for column in (10, 14, 40, 44)]
    for pictures, model in ((drawings, "omniglot-small"), (photos, "handful-base")):
        fitted = Recognizer(device="cpu").fit(pictures, ["a", "a", "b", "b"])
        answers = fitted.predict(pictures)
        assert (answers.model, answers.backbone in {"drawing-net", "handful-base"}) == (model, True)
        assert answers.chosen.startswith("auto: 4 of 4 examples are ")
        assert Recognizer(device="cpu").verify(*pictures[:2]).model == model


def page_of_two(tmp_path: Path) -> Path:
    """A picture whose left half is red and whose right half is blue."""
    page = np.zeros((20, 40, 3), np.uint8)
    page[:, :20], page[:, 20:] = (250, 0, 0), (0, 0, 250)
    path = tmp_path / "page.png"
    Image.fromarray(page).save(path)
    return path


def test_objects_of_a_picture_are_named_each(tmp_path: Path) -> None:
    path = page_of_two(tmp_path)
    (tmp_path / "m.csv").write_text(
        "path,label,x,y,width,height\n"
        "page.png,red,2,2,12,12\npage.png,blue,24,2,12,12\npage.png,,3,9,10,8\n"
    )
    recognizer = Recognizer(Colours(SURE)).fit(Support.from_manifest(tmp_path / "m.csv"))
    assert recognizer.images_ == (f"{path} [2, 2, 12, 12]", f"{path} [24, 2, 12, 12]")
    answers = recognizer.predict(read_manifest(tmp_path / "m.csv").pictures)
    assert answers.labels == ("red", "blue", "red")
    assert [answer.box for answer in answers] == [(2, 2, 12, 12), (24, 2, 12, 12), (3, 9, 10, 8)]
    assert {answer.image for answer in answers} == {str(path)}
    one = recognizer.predict(Cutout(path, (26, 4, 9, 9)))
    assert (one.label, one.box) == ("blue", (26, 4, 9, 9))
    assert recognizer.predict(path).box is None
    skipped = recognizer.predict([Cutout(path, (50, 0, 3, 3)), path], on_error="skip").skipped
    assert skipped[0][0] == f"{path} [50, 0, 3, 3]"


def test_masks_of_a_support_cut_the_object_out() -> None:
    page, mask = np.zeros((20, 40, 3), np.uint8), np.zeros((20, 40), np.uint8)
    page[5:15, 5:15], mask[5:15, 5:15] = (0, 250, 0), 1
    images, masks = [page, colour(250, 0, 0)], [mask, np.ones((4, 5), np.uint8)]
    masked = Recognizer(Colours(SURE)).fit(Support.from_arrays(images, ["g", "r"], masks=masks))
    whole = Recognizer(Colours(SURE)).fit(images, ["g", "r"])
    query = colour(20, 230, 20)
    # beside the green square there is a rim of grey, and none of the black
    assert masked.predict(query).label == "g"
    assert masked.predict(query).score > whole.predict(query).score


def test_groups_are_left_out_together_and_saved(tmp_path: Path) -> None:
    # two bursts of each class; the frames of a burst are the same
    images = [colour(250, 0, 0)] * 2 + [colour(100, 0, 110)] * 2
    images += [colour(0, 0, 250)] * 2 + [colour(110, 0, 100)] * 2
    labels, groups = ["r"] * 4 + ["b"] * 4, list("wwxxyyzz")
    matcher = Colours(SURE, pooled=False)
    alone = Recognizer(matcher).fit(Support.from_arrays(images, labels))
    grouped = Recognizer(matcher).fit(Support.from_arrays(images, labels, groups=groups))
    assert alone.check_ is not None
    assert grouped.check_ is not None
    # a frame finds its twin; without its burst each is nearer to the other class's middle one
    assert alone.check_.accuracy == 1
    assert grouped.check_.accuracy == 0
    assert grouped.groups_ == tuple(groups)
    grouped.save(tmp_path / "saved")
    again = Recognizer.load(tmp_path / "saved", model=matcher)
    assert (again.groups_, again.check_) == (grouped.groups_, grouped.check_)
    alone.save(tmp_path / "alone")
    assert Recognizer.load(tmp_path / "alone", model=matcher).groups_ is None
    assert "groups" not in json.loads((tmp_path / "alone" / "fitted.json").read_text())


def test_strangers_are_grouped_on_request() -> None:
    recognizer = Recognizer(Colours(SURE)).fit(IMAGES, LABELS)
    grey, yellow = colour(128, 128, 128), colour(250, 250, 0)
    queries = [grey, QUERIES[0], yellow, colour(120, 130, 128), yellow]
    answers = recognizer.predict(queries, group_new=True)
    assert answers.labels == (None, "red", None, None, None)
    assert [answer.group for answer in answers] == ["new-1", None, "new-2", "new-1", "new-2"]
    plain = recognizer.predict(queries)
    assert [replace(answer, group=None) for answer in answers] == list(plain)
    assert recognizer.predict(grey, group_new=True).group == "new-1"
    assert recognizer.predict([QUERIES[0]], group_new=True)[0].group is None
    with pytest.raises(InputError, match="colours was never calibrated, so it gives no groups"):
        Recognizer(Colours(), reject=0.99).fit(IMAGES, LABELS).predict(queries, group_new=True)
