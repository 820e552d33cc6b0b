"""Rejection in episodes, and the confusion matrix: against counts made one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from handful.data.sampling import sample_fewshot
from handful.evaluation.strangers import confusion, measure_strangers
from handful.methods.calibration import Calibration
from handful.methods.matcher import Image
from handful.methods.prototypes import Prototypes


class Unused:
    name = "unused"

    def embed(self, images: Sequence[Image]) -> Tensor:
        raise AssertionError("never asked")


def matcher(calibrated: bool = True) -> Prototypes:
    calibration = Calibration(10.0, -5.0, 10.0, reject=0.6, verify=0.5) if calibrated else None
    return Prototypes(Unused(), "test", calibration)


LABELS = tuple("aabbbccccddddeeee")


@pytest.fixture(scope="module")
def features() -> Tensor:
    draw = torch.Generator().manual_seed(0)
    index = torch.tensor(["abcde".index(label) for label in LABELS])
    return normalize(torch.eye(6)[index] + 0.6 * torch.rand(17, 6, generator=draw), dim=1)


def test_rejection_counts_what_a_person_would(features: Tensor) -> None:
    episodes = sample_fewshot(LABELS, 4, 1, 2, 50, seed=0)
    found = measure_strangers(matcher(), features, episodes, ways=2)
    known, unknown, right = [], [], Counter[str]()
    for row in range(50):
        support = features[episodes.support[row, :2, 0]]
        for place, target in zip(episodes.query[row], episodes.target[row], strict=True):
            if place < 0:
                continue
            cosines = (support @ features[place]).tolist()
            best = max(cosines)
            accepted = 1 / (1 + np.exp(-(10 * best - 5))) >= 0.6
            if target < 2:
                known.append(best)
                right["known"] += accepted and cosines.index(best) == target
            else:
                unknown.append(best)
                right["unknown"] += not accepted
    pairs = np.subtract.outer(known, unknown)
    assert found["auroc"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    expected = 0.5 * (right["known"] / len(known) + right["unknown"] / len(unknown))
    assert found["accuracy"] == pytest.approx(expected)
    assert (found["strangers"], found["episodes"]) == (2, 50)
    assert found["n"] == len(known) + len(unknown)


def test_without_calibration_only_the_order_is_measured(features: Tensor) -> None:
    episodes = sample_fewshot(LABELS, 4, 1, 2, 5, seed=0)
    found = measure_strangers(matcher(calibrated=False), features, episodes, ways=2)
    assert found["accuracy"] is found["threshold"] is None
    assert 0 <= found["auroc"] <= 1


def test_confusion_is_counted_by_class_whatever_its_place() -> None:
    labels = list("bbbaaac")  # c has one image alone: it takes no part
    episodes = sample_fewshot(labels, 2, 1, 2, 30, seed=1)
    rng = np.random.default_rng(2)
    predicted = rng.integers(0, 2, episodes.query.shape)
    found = confusion(labels, episodes, predicted.tolist())
    expected: Counter[tuple[str, str]] = Counter()
    for row in range(30):
        names = [labels[i] for i in episodes.support[row, :, 0]]
        for q, place in enumerate(episodes.query[row]):
            expected[labels[place], names[predicted[row, q]]] += 1
    for true in "ab":
        assert found[true] == {name: expected[true, name] for name in "abc"}
