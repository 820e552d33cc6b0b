"""Classes of unequal shots agree with the episodes' form where the shots are equal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from handful.errors import InputError
from handful.methods.calibration import Calibration
from handful.methods.matcher import Image, class_scores
from handful.methods.prototypes import Prototypes
from handful.methods.scores import as_score, threshold
from handful.methods.support_check import check_support
from handful.methods.support_set import SupportSet


class Dot:
    """Scores by the inner product."""

    name = "dot"
    backbone = "none"

    def __init__(self, pooled: bool, calibration: Calibration | None = None) -> None:
        self.pooled = pooled
        self.calibration = calibration

    def encode(self, images: Sequence[Image]) -> Tensor:
        raise AssertionError("never asked")

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return query @ support.mT

    def pool(self, support: Tensor) -> Tensor | None:
        return support.mean(-2) if self.pooled else None


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("shots", [1, 3])
def test_equal_shots_score_as_episodes_do(pooled: bool, shots: int) -> None:
    draw = torch.Generator().manual_seed(0)
    support, query = torch.rand(4, shots, 6, generator=draw), torch.rand(5, 6, generator=draw)
    order = torch.randperm(4 * shots, generator=draw)
    index = torch.arange(4).repeat_interleave(shots)[order]
    found = SupportSet(Dot(pooled), support.flatten(0, 1)[order], index).raw(query)
    torch.testing.assert_close(found, class_scores(Dot(pooled), query, support))


def clouds(seed: int) -> tuple[Tensor, Tensor]:
    """Return unit vectors around three directions, one of them under a wrong label."""
    draw = torch.Generator().manual_seed(seed)
    index = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2, 3])
    truth = index.clone()
    truth[4] = 0
    features = torch.eye(4)[truth] + 0.25 * torch.rand(10, 4, generator=draw)
    return torch.nn.functional.normalize(features), index


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_leaving_out_equals_a_support_without_the_example(pooled: bool, seed: int) -> None:
    """The check against a twin that rebuilds the support for every example."""
    features, index = clouds(seed)
    margins = {}
    for example in range(9):  # the last class has a single shot
        keep = torch.arange(10) != example
        raw = SupportSet(Dot(pooled), features[keep], index[keep]).raw(features[example][None])[0]
        if int(raw.argmax()) != index[example]:
            margins[example] = float(raw.max() - raw[index[example]])
    check = check_support(SupportSet(Dot(pooled), features, index), list("abcd"), [None] * 10, None)
    assert check is not None
    assert check.tested == 9
    assert check.accuracy == pytest.approx(1 - len(margins) / 9)
    assert max(margins, key=margins.__getitem__) == 4
    assert [suspect.index for suspect in check.suspects] == [4]
    assert (check.suspects[0].label, check.suspects[0].looks_like) == ("b", "a")


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_left_out_as_a_whole(pooled: bool, seed: int) -> None:
    """The check against a twin that rebuilds the support without each example's group."""
    features, index = clouds(seed)
    groups = ["x", "x", None, "y", None, "x", "z", "z", "z", "w"]
    right, tested = 0, 0
    for example in range(10):
        keep = torch.tensor(
            [
                other != example and (groups[other] is None or groups[other] != groups[example])
                for other in range(10)
            ]
        )
        if not (index[keep] == index[example]).any():
            continue
        tested += 1
        scores = []
        for way in range(4):
            shots = features[keep & (index == way)]
            if not len(shots):
                scores.append(-np.inf)
                continue
            merged = shots.mean(0, keepdim=True) if pooled and len(shots) > 1 else shots
            scores.append(float((features[example] @ merged.T).max()))
        right += int(np.argmax(scores)) == int(index[example])
    # the second class's "z" has "y", "x" and the mislabelled one left; the third class and the
    # fourth are of one group each
    assert tested == 7
    support = SupportSet(Dot(pooled), features, index)
    check = check_support(support, list("abcd"), [None] * 10, None, groups)
    assert check is not None
    assert check.tested == tested
    assert check.accuracy == pytest.approx(right / tested)
    alone = [str(number) for number in range(10)]
    assert check_support(support, list("abcd"), [None] * 10, None, alone) == check_support(
        support, list("abcd"), [None] * 10, None
    )
    assert check_support(support, list("abcd"), [None] * 10, None, ["one"] * 10) is None


def test_a_model_that_cannot_tell_the_classes_apart_suspects_nobody() -> None:
    features = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    check = check_support(
        SupportSet(Dot(True), features, torch.arange(40) % 8), list("abcdefgh"), [None] * 40, None
    )
    assert check is not None
    assert check.accuracy < 0.5
    assert check.suspects == ()
    right = round(check.accuracy * 40)
    assert check.warnings[0].startswith(f"left out one by one, only {right} of 40 examples")


def test_threshold() -> None:
    calibration = Calibration(1.0, 0.0, 1.0, reject=0.7, verify=0.5)
    assert threshold(Dot(True, calibration), "auto") == 0.7
    assert threshold(Dot(True), "auto") is None
    assert threshold(Dot(True, calibration), None) is None
    assert threshold(Dot(True), np.float32(0.25)) == 0.25
    for wrong in ("none", True, -1, 1.01, float("nan")):
        with pytest.raises(InputError):
            threshold(Dot(True), wrong)


def test_scores_keep_the_order_and_stay_in_range() -> None:
    raw = torch.tensor([-1e6, -50.0, -1.0, 0.0, 0.5, 40.0, 1e6])
    plain = as_score(Dot(True), raw)
    assert (plain.diff() > 0).all()
    assert plain.min() >= 0
    assert plain.max() <= 1
    assert plain[3] == 0.5
    sigmoid = as_score(Dot(True, Calibration(2.0, -1.0, 1.0, 0.5, 0.5)), raw)
    torch.testing.assert_close(sigmoid, 1 / (1 + torch.exp(-(2 * raw - 1))))


def cosines_of(*shots: int) -> tuple[Tensor, Tensor]:
    """Unit vectors of classes with so many examples each, around directions of their own."""
    draw = torch.Generator().manual_seed(3)
    index = torch.arange(len(shots)).repeat_interleave(torch.tensor(shots))
    features = 2 * torch.eye(8)[index] + torch.randn(len(index), 8, generator=draw) * 0.5
    return torch.nn.functional.normalize(features, dim=1), index


def prototypes(logistic: bool = False, likeness: float | None = None) -> Prototypes:
    calibration = Calibration(9.0, -4.0, 20.0, 0.5, 0.5, likeness)
    return Prototypes(Unused(), "test", calibration, logistic)


class Unused:
    name = "unused"

    def embed(self, images: Sequence[Image]) -> Tensor:
        raise AssertionError("never asked")


def test_likeness_makes_shots_comparable() -> None:
    features, index = cosines_of(1, 4)
    query = features[:3] + 0.1
    plain = SupportSet(prototypes(), features, index).raw(query)
    found = SupportSet(prototypes(likeness=0.36), features, index)
    factors = torch.tensor([1.0, (0.36 + 0.64 / 4) ** 0.5])
    torch.testing.assert_close(found.raw(query), plain * factors)
    members = torch.nonzero(index == 1).flatten()
    torch.testing.assert_close(found.against(query, members), found.raw(query)[:, 1])


@pytest.mark.parametrize(("shots", "head"), [((3, 3, 4), "logistic"), ((3, 2, 4), "prototype")])
def test_logistic_regression_ranks_from_three_examples(shots: tuple[int, ...], head: str) -> None:
    features, index = cosines_of(*shots)
    support = SupportSet(prototypes(logistic=True), features, index)
    assert support.head == head
    assert SupportSet(prototypes(), features, index).head == "prototype"
    query = torch.nn.functional.normalize(torch.randn(40, 8), dim=1)
    raw, likeness = support.raw(query), support.unranked(query)
    if head == "prototype":
        assert torch.equal(raw, likeness)
        return
    # an independent solver of the same problem, and the definition of the scores
    from sklearn.linear_model import LogisticRegression

    centre = torch.stack([features[index == way].mean(0) for way in range(3)]).mean(0)
    unit = [torch.nn.functional.normalize(x - centre, dim=1).numpy() for x in (features, query)]
    model = LogisticRegression(C=10.0, fit_intercept=False, class_weight="balanced", tol=1e-10)
    log_p = torch.from_numpy(model.fit(unit[0], index).predict_log_proba(unit[1])).float()
    best = log_p.argmax(1, keepdim=True)
    expected = likeness.gather(1, best) + 0.05 * (log_p - log_p.amax(1, keepdim=True))
    torch.testing.assert_close(raw, expected, atol=1e-4, rtol=1e-4)
