"""The protocol of segmentation, against a twin that counts one pixel at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from handful.data.segmentation.episodes import SegmentationEpisodes, absent_queries, sample_episodes
from handful.data.segmentation.folder import read_folder
from handful.data.segmentation.photos import SegmentationSet
from handful.errors import InputError
from handful.evaluation import segmenting
from handful.evaluation.protocols import segmentation
from handful.evaluation.protocols.segmentation import difference, measure
from handful.evaluation.segmenting import Run, ShotsBy, View
from handful.methods.baselines.blind_segmentation import BlindSegmentation
from handful.methods.segmenter import Answer, Features, Mask, SegmentationMethod

CLASSES = ["red", "green", "blue"]


class ByColour:
    """Find pixels whose strongest channel is that of the support's object; count what is asked."""

    name, backbone, threshold = "by-colour", "none", 0.5

    def __init__(self) -> None:
        self.encoded: list[int] = []
        self.conditioned: list[int] = []

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Features]:
        self.encoded.append(len(images))
        return [{"rgb": torch.from_numpy(i.transpose(2, 0, 1).astype(np.float32))} for i in images]

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> int:
        self.conditioned.append(len(masks))
        mean = torch.zeros(3)
        for feature, mask in zip(features, masks, strict=True):
            mean += feature["rgb"][:, torch.from_numpy(mask == 1)].mean(1)
        return int(mean.argmax())

    def answer(self, query: Features, states: Sequence[int]) -> Answer:
        strongest = query["rgb"].argmax(0)
        bright = query["rgb"].amax(0) > 128
        masks = torch.stack([((strongest == s) & bright).float() for s in states])
        return Answer(masks, (masks.mean((1, 2)) > 0.01).float())


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> SegmentationSet:
    """Squares of pure colours on black, of one or two classes, with a stripe of void."""
    root = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for i in range(24):
        size = (int(rng.integers(40, 60)), int(rng.integers(40, 60)))
        values, pixels = np.zeros(size, np.uint8), np.zeros((*size, 3), np.uint8)
        for value in rng.permutation(3)[: 1 + i % 2]:
            top, left = rng.integers(0, 20, 2)
            values[top : top + 15, left : left + 18] = value + 1
            pixels[top : top + 15, left : left + 18] = np.eye(3, dtype=np.uint8)[value] * 255
        values[-4:] = 255
        Image.fromarray(values).save(root / "masks" / f"{i}.png")
        Image.fromarray(pixels).save(root / "images" / f"{i}.png")
    return read_folder(root, CLASSES)


def twin(photos: SegmentationSet, episodes: SegmentationEpisodes) -> dict[str, float]:
    """Answer "the middle half of the sides" at the photos' own size, pixel by pixel."""
    sums = {c: [0, 0] for c in range(3)}
    grounds = [[0, 0], [0, 0]]
    for column, query in zip(episodes.classes[:, 0].tolist(), episodes.query.tolist(), strict=True):
        mask = photos.mask(query, column)
        height, width = mask.shape
        for y in range(height):
            for x in range(width):
                true = int(mask[y, x])
                if true == 255:
                    continue
                # where the 64 x 64 answer, bilinear between its pixels' middles, is at least half
                found = 15.5 <= (y + 0.5) * 64 / height - 0.5 <= 47.5 and (
                    15.5 <= (x + 0.5) * 64 / width - 0.5 <= 47.5
                )
                edge = 1 if found else 0
                sums[column][0] += found and true == 1
                sums[column][1] += found or true == 1
                for ground, wanted in enumerate((0, 1)):
                    grounds[ground][0] += edge == wanted and true == wanted
                    grounds[ground][1] += edge == wanted or true == wanted
    each = {CLASSES[c]: both / either for c, (both, either) in sums.items()}
    return each | {
        "miou": float(np.mean(list(each.values()))),
        "fb_iou": float(np.mean([both / either for both, either in grounds])),
    }


def test_metrics_at_the_original_size_are_those_of_the_twin(photos: SegmentationSet) -> None:
    episodes = sample_episodes(photos, CLASSES, 30)
    result = measure(BlindSegmentation("centre"), photos, episodes, View(None, 64))
    wanted = twin(photos, episodes)
    # corners of the blurred rectangle are the only difference
    assert result.metrics["miou"] == pytest.approx(wanted["miou"], abs=0.01)
    assert result.metrics["fb_iou"] == pytest.approx(wanted["fb_iou"], abs=0.01)
    for label in CLASSES:
        assert result.metrics["per_class"][label] == pytest.approx(wanted[label], abs=0.01)
    low, high = result.metrics["interval"]
    assert low < result.metrics["miou"] < high
    assert result.settings["size"] == "original"
    assert result.n == 30


def test_a_method_that_is_right_is_found_right(photos: SegmentationSet) -> None:
    method = ByColour()
    assert isinstance(method, SegmentationMethod)
    episodes = sample_episodes(photos, CLASSES, 60, shots=2)
    result = measure(method, photos, episodes, View(96, 96), absent=40)
    assert result.metrics["miou"] > 0.93  # but for the edges, which resizing blurs
    assert result.metrics["presence"]["auroc"] == 1
    assert result.metrics["presence"]["empty"] == 1
    assert sum(method.encoded) <= len(photos)  # each photo once
    assert set(method.conditioned) == {2}


def test_several_ways_share_the_pixels_of_a_query(photos: SegmentationSet) -> None:
    episodes = sample_episodes(photos, CLASSES, 40, ways=3)
    result = measure(ByColour(), photos, episodes, View(96, 96))
    assert result.metrics["miou"] > 0.93
    assert result.metrics["fb_iou"] > 0.95
    assert len(result.rows) == 120
    blind = measure(BlindSegmentation("whole"), photos, episodes, View(96, 96))
    # a tie goes to the first class: the others are answered with nothing
    rows = [
        row for row in blind.rows if row["class"] != CLASSES[episodes.classes[row["episode"], 0]]
    ]
    assert {row["intersection"] for row in rows} == {0}


class OneShotAtATime(ByColour):
    """Answer the left half or the right half, by which shot it was taught with."""

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> int:
        assert len(masks) == 1
        self.conditioned.append(1)
        return len(self.conditioned) % 3

    def answer(self, query: Features, states: Sequence[int]) -> Answer:
        masks = torch.zeros(len(states), 4, 6)
        for row, state in enumerate(states):
            masks[row, :, 2 * state : 2 * state + 4] = 1
        return Answer(masks, torch.tensor([float(s == 1) for s in states]))


@pytest.mark.parametrize(("how", "share", "presence"), [("vote", 4, 1 / 3), ("or", 6, 1)])
def test_shots_by_vote_and_by_or(
    photos: SegmentationSet, how: ShotsBy, share: int, presence: float
) -> None:
    episodes = sample_episodes(photos, CLASSES, 4, shots=3)
    run = Run(OneShotAtATime(), photos, View(None, 48), how)
    answers = run.answers(episodes, "test")
    assert answers.presence.ravel() == pytest.approx([presence] * 4)
    sizes = [photos.mask(int(q), 0).size for q in episodes.query]
    # columns covered by the shots: 0-4, 2-6 and 4-6 of 6: two of three in 2-6, any in 0-6
    assert answers.area.ravel() / sizes == pytest.approx([share / 6] * 4, abs=0.03)


class AgainstOthers(ByColour):
    """Note which classes come together."""

    def __init__(self) -> None:
        super().__init__()
        self.together: list[list[int]] = []

    def answer(self, query: Features, states: Sequence[int]) -> Answer:
        self.together.append(list(states))
        return super().answer(query, states)


@pytest.mark.parametrize("how", ["method", "vote", "or"])
def test_shots_of_one_class_are_never_set_against_each_other(
    photos: SegmentationSet, how: ShotsBy
) -> None:
    method = AgainstOthers()
    episodes = sample_episodes(photos, CLASSES, 3, ways=2, shots=3)
    answers = Run(method, photos, View(48, 48), how).answers(episodes, "test")
    assert len(method.together) == 3 * (1 if how == "method" else 3)
    assert all(len(set(states)) == len(states) == 2 for states in method.together)
    # of shots that agree, all ways of joining them say the same
    once = Run(ByColour(), photos, View(48, 48), "method").answers(episodes, "test")
    assert np.array_equal(answers.intersection, once.intersection)


def test_presence_gates_usual_episodes(photos: SegmentationSet) -> None:
    episodes = sample_episodes(photos, CLASSES, 30)
    method = ByColour()
    run = Run(method, photos, View(96, 96), "method")
    answers = run.answers(episodes, "present")
    absent = run.answers(absent_queries(photos, episodes), "absent")
    held = segmentation.presence_metrics(answers, answers.presence, absent, episodes, threshold=0.5)
    plain = segmentation.segmentation_metrics(answers, episodes)
    assert held["miou"] == plain["miou"]
    beyond = segmentation.presence_metrics(
        answers, answers.presence, absent, episodes, threshold=1.1
    )
    assert (beyond["empty"], beyond["miou"]) == (1, 0)
    cuts = np.array(held["curve"])
    assert (np.diff(cuts[:, 0]) >= 0).all()
    assert (np.diff(cuts[:, 1]) >= 0).all()
    assert cuts[0, 2] == plain["miou"]


class Unsure(ByColour):
    """Its presence is how much of the photo it marked, and noise."""

    def answer(self, query: Features, states: Sequence[int]) -> Answer:
        masks, _ = super().answer(query, states)
        noise = torch.rand(1, generator=torch.Generator().manual_seed(int(masks.sum())))
        return Answer(masks, (masks.mean((1, 2)) + 0.3 * noise).clamp(0, 1))


def test_more_queries_for_presence_than_for_overlap(photos: SegmentationSet) -> None:
    episodes = sample_episodes(photos, CLASSES, 50)
    result = measure(Unsure(), photos, episodes, View(64, 64), absent=50, counted=20)
    assert result.n == len(result.rows) == 20
    usual = measure(Unsure(), photos, episodes.first(20), View(64, 64))
    assert result.metrics["miou"] == usual.metrics["miou"]
    presence = result.metrics["presence"]
    assert (presence["present"], presence["absent"]) == (50, 50)

    run = Run(Unsure(), photos, View(64, 64), "method")
    yes = run.answers(episodes, "present").presence.ravel()
    no = run.answers(absent_queries(photos, episodes), "absent").presence.ravel()
    wins = [float(y > n) + 0.5 * float(y == n) for y in yes for n in no]
    assert presence["auroc"] == pytest.approx(np.mean(wins))
    low, high = presence["interval"]
    assert low < presence["auroc"] <= high
    assert presence["kept"] == pytest.approx(np.mean([y >= 0.5 for y in yes]))
    # no threshold tells the two better apart than the balanced one
    cuts = np.r_[0, np.sort(np.r_[yes, no]), 1.1]
    best = max(float((yes >= cut).mean() + (no < cut).mean()) for cut in cuts)
    balanced = presence["balanced"]
    assert (yes >= balanced).mean() + (no < balanced).mean() == pytest.approx(best)
    # 5 of 50 present classes are held back by the careful one
    assert (yes < presence["careful"]).sum() <= 5 < (yes <= presence["careful"]).sum() + 1
    with pytest.raises(InputError, match="there are 50 episodes; draw more"):
        measure(Unsure(), photos, episodes, View(64, 64), absent=51)


def test_the_difference_of_two_methods_is_paired(photos: SegmentationSet) -> None:
    episodes = sample_episodes(photos, CLASSES, 30)
    first = measure(ByColour(), photos, episodes, View(64, 64))
    second = measure(BlindSegmentation("whole"), photos, episodes, View(64, 64))
    found = difference(first, second)
    assert found["against"] == "whole"
    assert found["miou"] == pytest.approx(first.metrics["miou"] - second.metrics["miou"])
    low, high = found["interval"]
    assert 0 < low < found["miou"] < high
    other = measure(ByColour(), photos, sample_episodes(photos, CLASSES, 30, seed=1), View(64, 64))
    with pytest.raises(InputError, match="answered other episodes"):
        difference(first, other)


def test_features_beyond_the_cache_are_encoded_again(
    photos: SegmentationSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    episodes = sample_episodes(photos, CLASSES, 20, shots=2)
    wanted = measure(ByColour(), photos, episodes, View(64, 64))
    monkeypatch.setattr(segmenting, "CACHE_BYTES", 3 * 64 * 64 * 4 * 5)  # five photos
    method = ByColour()
    again = measure(method, photos, episodes, View(64, 64))
    assert again.metrics == wanted.metrics
    assert sum(method.encoded) > len(photos)


def test_an_object_lost_between_grid_points_still_teaches(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for i in range(2):
        values, pixels = np.zeros((640, 640), np.uint8), np.zeros((640, 640, 3), np.uint8)
        values[3, 3] = 1
        Image.fromarray(values).save(tmp_path / f"masks/{i}.png")
        Image.fromarray(pixels).save(tmp_path / f"images/{i}.png")
    dataset = read_folder(tmp_path)
    seen: list[tuple[int, ...]] = []

    class Watch(BlindSegmentation):
        def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> None:
            seen.extend(mask.shape for mask in masks)
            assert all((mask == 1).any() for mask in masks)

    measure(Watch("whole"), dataset, sample_episodes(dataset, ["object"], 2), View(None, 64))
    assert seen == [(640, 640)] * 2
