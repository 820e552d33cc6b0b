from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from handful.data.class_folders import read_class_folders
from handful.data.sampling import sample_fewshot
from handful.errors import InputError
from handful.evaluation.protocols import fewshot
from handful.methods import class_scores
from handful.methods.baselines.nearest_neighbour import NearestNeighbour
from handful.methods.encoding import encode_folder
from handful.methods.heads import make_head


def by_hand(matcher: Any, root: Path, ways: int, shots: int, head: str) -> list[float]:
    """One episode after the other, one query after the other."""
    encoded = encode_folder(matcher, read_class_folders(root))
    drawn = sample_fewshot(encoded.folder.labels, ways, shots, 4, 30, seed=3)
    index = torch.arange(ways).repeat_interleave(shots)
    shares = []
    for support, query, target in zip(drawn.support, drawn.query, drawn.target, strict=True):
        right = []
        for image, way in zip(query, target, strict=True):
            if image < 0:
                continue
            asked, shown = encoded.features[[image]], encoded.features[torch.from_numpy(support)]
            if head == "own":
                scores = class_scores(matcher, asked, shown)
            else:
                scores = make_head(head).fit(shown.flatten(0, 1), index, ways)(asked)
            right.append(int(scores.argmax()) == way)
        shares.append(np.mean(right))
    return shares


@pytest.mark.parametrize("head", ["own", "prototype", "logistic", "nearest"])
def test_agrees_with_one_query_at_a_time(
    mean_colour: Any, photos: Path, head: fewshot.HeadChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fewshot, "_BATCH_BYTES", 4000)  # several batches
    monkeypatch.setattr(fewshot, "_CHUNK", 7)
    folder = read_class_folders(photos)
    result = fewshot.measure(mean_colour(), folder, 3, 2, 4, 30, 3, head)
    shares = by_hand(mean_colour(), photos, 3, 2, head)
    assert [row["accuracy"] for row in result.rows] == pytest.approx(shares, abs=1e-6)
    assert result.metrics["accuracy"] == pytest.approx(np.mean(shares))
    half = 2.045 * np.std(shares, ddof=1) / np.sqrt(30)  # Student's quantile of 29 degrees
    expected = [np.mean(shares) - half, np.mean(shares) + half]
    assert result.metrics["interval"] == pytest.approx(expected, abs=1e-4)
    assert 0.4 < result.metrics["accuracy"] < 1


def test_the_result_says_what_was_measured(mean_colour: Any, photos: Path) -> None:
    matcher = mean_colour()
    result = fewshot.measure(matcher, read_class_folders(photos), 5, 1, 15, 50)
    assert matcher.encoded == 60  # each photo once
    value = result.to_json()
    assert (value["protocol"], value["model"], value["backbone"]) == (
        "fewshot",
        "mean-colour",
        "none",
    )
    assert (value["ways"], value["shots"], value["queries"], value["episodes"]) == (5, 1, 15, 50)
    assert (value["head"], value["classes"], value["images"]) == ("prototype", 6, 60)
    # all five classes, one photo of each in the support, at most fifteen queries
    assert value["n"] == 50 * (11 + 8 + 5 + 11 + 15)
    assert value["published"] == []
    assert value["skipped"][0][0] == "cat/broken.png"
    assert str(photos) not in value["skipped"][0][1]


def test_the_seed_decides(mean_colour: Any, photos: Path) -> None:
    folder = read_class_folders(photos)
    runs = [fewshot.measure(mean_colour(), folder, 3, 1, 5, 40, seed).rows for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_auto_takes_the_head_for_the_shots(mean_colour: Any, photos: Path) -> None:
    folder = read_class_folders(photos)
    heads = [
        fewshot.measure(mean_colour(pooled), folder, 2, shots, 5, 5).settings["head"]
        for pooled, shots in [(True, 1), (True, 3), (False, 3)]
    ]
    assert heads == ["prototype", "logistic", "own"]


def test_perfect_answers_keep_the_interval_in_bounds(mean_colour: Any, tmp_path: Path) -> None:
    from PIL import Image

    for name, colour in {"red": (255, 0, 0), "blue": (0, 0, 255)}.items():
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("RGB", (4, 4), colour).save(tmp_path / name / f"{i}.png")
    metrics = fewshot.measure(mean_colour(), read_class_folders(tmp_path), 2, 1, 15, 9).metrics
    assert (metrics["accuracy"], metrics["interval"]) == (1.0, [1.0, 1.0])
    assert metrics["confusion"] == {"blue": {"blue": 18, "red": 0}, "red": {"blue": 0, "red": 18}}


def test_a_model_of_pixels_is_measured_too(photos: Path) -> None:
    matcher = NearestNeighbour(size=8)
    result = fewshot.measure(matcher, read_class_folders(photos), 2, 3, 5, 20)
    assert result.settings["head"] == "own"
    assert 0.3 < result.metrics["accuracy"] <= 1


def test_a_head_needs_vectors(photos: Path, mean_colour: Any) -> None:
    class Maps(mean_colour):  # type: ignore[misc]
        def encode(self, images: Any) -> torch.Tensor:
            return super().encode(images)[:, :, None]

    with pytest.raises(InputError, match="its features are no vectors; give --head own"):
        fewshot.measure(Maps(), read_class_folders(photos), 2, 1, 5, 5, head="nearest")


def test_too_few_classes_are_said_before_anything_is_encoded(
    mean_colour: Any, photos: Path
) -> None:
    matcher = mean_colour()
    with pytest.raises(InputError, match="4 classes have more than 8 images") as error:
        fewshot.measure(matcher, read_class_folders(photos), 5, 8)
    assert str(photos) in str(error.value)
    assert matcher.encoded == 0


def test_damaged_features_and_no_photos_are_refused(mean_colour: Any, tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no photo")
    with pytest.raises(InputError, match="none of its images can be read"):
        fewshot.measure(mean_colour(), read_class_folders(tmp_path), 2, 1)


def test_features_that_are_not_numbers_are_refused(mean_colour: Any, photos: Path) -> None:
    class Damaged(mean_colour):  # type: ignore[misc]
        def encode(self, images: Any) -> torch.Tensor:
            return super().encode(images) * torch.nan

    with pytest.raises(InputError, match="mean-colour: its features are not numbers"):
        fewshot.measure(Damaged(), read_class_folders(photos), 2, 1)


def test_no_group_teaches_and_asks(mean_colour: Any, photos: Path) -> None:
    """Every photo copied into a burst of two: a copy in the support would give its twin away."""
    folder = read_class_folders(photos)
    twice = replace(folder, paths=folder.paths * 2, labels=folder.labels * 2)
    bursts = replace(twice, groups=tuple(map(str, folder.paths)) * 2)
    single, copied, apart = (
        fewshot.measure(mean_colour(), each, 5, 5, 15, 400, head="nearest")
        for each in (folder, twice, bursts)
    )
    assert copied.metrics["accuracy"] > single.metrics["accuracy"] + 0.05
    # half of a class's bursts are taught from, so copies of the same picture may be among them
    assert apart.metrics["accuracy"] < single.metrics["accuracy"] + 0.02
    assert apart.settings["groups"] == 60
