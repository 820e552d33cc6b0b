from __future__ import annotations

import numpy as np
import pytest

from handful.metrics.segmentation import (
    bootstrap_interval,
    class_iou,
    foreground_background_iou,
    mean_iou,
    overlap,
    paired_difference,
)


def pixel_by_pixel(found: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    both = either = true = 0
    for f, t in zip(found.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if t == 255:
            continue
        both += f and t == 1
        either += f or t == 1
        true += t == 1
    return both, either, true


@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_those_of_counting_pixels_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    episodes, n = 40, 3
    found = rng.random((episodes, 6, 7)) < 0.5
    truth = rng.choice(np.array([0, 1, 255], np.uint8), (episodes, 6, 7), p=[0.5, 0.4, 0.1])
    classes = rng.integers(0, n, episodes)
    counted = overlap(found, truth)
    sums = np.zeros((n, 2))
    for t in range(episodes):
        both, either, true = pixel_by_pixel(found[t], truth[t])
        assert (counted.intersection[t], counted.union[t], counted.truth[t]) == (both, either, true)
        sums[classes[t]] += both, either
    wanted = sums[:, 0] / sums[:, 1]
    assert class_iou(counted.intersection, counted.union, classes, n) == pytest.approx(wanted)
    mean = mean_iou(counted.intersection, counted.union, classes)
    assert mean == pytest.approx(wanted.mean())
    each = np.mean(counted.intersection / counted.union)
    assert mean != pytest.approx(each, abs=1e-6)  # not the mean of the episodes' own IoU


def test_background_and_foreground_are_summed_before_they_are_divided() -> None:
    both = np.array([[90, 5], [10, 60]])
    either = np.array([[95, 10], [40, 90]])
    wanted = (100 / 135 + 65 / 100) / 2
    assert foreground_background_iou(both, either) == pytest.approx(wanted)


def test_a_class_without_a_pixel_takes_no_part() -> None:
    assert np.isnan(class_iou([0, 3], [0, 4], [0, 1], 2)[0])
    assert mean_iou([0, 3], [0, 4], [0, 1]) == 0.75


def slow_bootstrap(
    both: np.ndarray, either: np.ndarray, classes: np.ndarray, resamples: int
) -> np.ndarray:
    rng = np.random.default_rng(1)
    values = []
    for _ in range(resamples):
        rows = np.concatenate(
            [
                rng.choice(np.flatnonzero(classes == c), np.count_nonzero(classes == c))
                for c in np.unique(classes)
            ]
        )
        values.append(mean_iou(both[rows], either[rows], classes[rows]))
    return np.array(values)


def test_the_interval_is_that_of_drawing_episodes_within_classes() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 4], [30, 20, 10])
    either = rng.integers(50, 200, 60)
    both = (either * rng.random(60)).astype(int)
    low, high = bootstrap_interval(both, either, classes, resamples=4000)
    slow = np.quantile(slow_bootstrap(both, either, classes, 4000), [0.025, 0.975])
    assert (low, high) == pytest.approx(slow, abs=0.006)
    assert low < mean_iou(both, either, classes) < high


def test_a_paired_difference_is_narrower_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(5), 40)
    either = np.full(200, 1000)
    first = (either * rng.random(200) * 0.9).astype(int)
    second = first - 20
    gain, (low, high) = paired_difference((first, either), (second, either), classes)
    assert gain == pytest.approx(0.02)
    assert (low, high) == pytest.approx((0.02, 0.02))
    one, two = (
        bootstrap_interval(first, either, classes),
        bootstrap_interval(second, either, classes),
    )
    assert one[0] < two[1]  # unpaired, the two overlap
    zero, interval = paired_difference((first, either), (first, either), classes)
    assert zero == 0
    assert interval == (0, 0)


def test_an_episode_of_several_ways_is_drawn_as_a_whole() -> None:
    # in every episode one class is all right and the other all wrong: whole episodes keep the
    # balance exactly, rows drawn alone would not
    both = np.array([[10, 0]] * 30)
    either = np.full((30, 2), 10)
    classes = np.array([[0, 1]] * 30)
    assert bootstrap_interval(both, either, classes) == (0.5, 0.5)


def test_shapes_have_to_agree() -> None:
    with pytest.raises(ValueError, match="equal"):
        overlap(np.zeros((2, 3), bool), np.zeros((3, 2)))
