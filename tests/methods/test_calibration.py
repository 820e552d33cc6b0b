"""Calibration against closed forms, a grid and brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from handful.methods.calibration import Calibration, fit_calibration, shots_factor


@pytest.fixture(scope="module")
def trials() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Scores of 400 trials of 6 ways: the right column is higher by one and a half spreads."""
    generator = torch.Generator().manual_seed(0)
    known = torch.randn(400, 6, generator=generator)
    truth = torch.randint(6, (400,), generator=generator)
    known[torch.arange(400), truth] += 1.5
    unknown = torch.randn(300, 5, generator=generator)
    same = known[torch.arange(400), truth]
    return 3 * same - 7, 3 * unknown.flatten() - 7, 3 * known - 7, truth, 3 * unknown - 7


@pytest.fixture(scope="module")
def fitted(trials: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]) -> Calibration:
    return fit_calibration(*trials)


def two_values(ones: int, of: int) -> Tensor:
    return torch.cat([torch.ones(ones), torch.zeros(of - ones)])


def test_a_pairs_score_is_its_probability_at_equal_frequency(trials: tuple[Tensor, ...]) -> None:
    # scores of two values: the fit has a closed form, whatever the number of pairs
    fitted = fit_calibration(two_values(80, 100), two_values(300, 1000), *trials[2:])
    high, low = fitted.probability(torch.tensor([1.0, 0.0])).tolist()
    assert high == pytest.approx(0.8 / (0.8 + 0.3), abs=1e-3)
    assert low == pytest.approx(0.2 / (0.2 + 0.7), abs=1e-3)


def test_platt_is_the_least_weighted_logistic_loss(
    trials: tuple[Tensor, ...], fitted: Calibration
) -> None:
    from scipy.optimize import minimize

    same, different = trials[0].double().numpy(), trials[1].double().numpy()

    def loss(x: np.ndarray) -> float:
        yes, no = x[0] * (same + 7) + x[1], x[0] * (different + 7) + x[1]
        return float(np.logaddexp(0, -yes).mean() + np.logaddexp(0, no).mean())

    best = minimize(loss, [0.0, 0.0], tol=1e-10).x
    assert fitted.slope == pytest.approx(best[0], rel=1e-3)
    assert fitted.offset == pytest.approx(best[1] + 7 * best[0], rel=1e-3)


def test_temperature_is_the_least_cross_entropy(
    trials: tuple[Tensor, ...], fitted: Calibration
) -> None:
    known, truth = trials[2].double().numpy(), trials[3].numpy()

    def loss(temperature: float) -> float:
        logits = temperature * known
        return float(np.mean(np.logaddexp.reduce(logits, 1) - logits[np.arange(400), truth]))

    grid = np.geomspace(1e-3, 1e3, 2001)
    losses = [loss(t) for t in grid]
    best = grid[int(np.argmin(losses))]
    assert fitted.temperature == pytest.approx(best, rel=0.01)
    assert loss(fitted.temperature) <= min(losses) + 1e-6


def test_a_column_that_a_row_does_not_have_changes_nothing(trials: tuple[Tensor, ...]) -> None:
    same, different, known, truth, unknown = trials
    nothing = torch.full((400, 1), -torch.inf)
    plain = fit_calibration(same, different, known, truth, unknown)
    wider = fit_calibration(
        same,
        different,
        torch.cat([known, nothing], 1),
        truth,
        torch.cat([unknown, nothing[:300]], 1),
    )
    # the search for the temperature starts elsewhere where there are more columns
    assert wider.temperature == pytest.approx(plain.temperature, rel=1e-3)
    assert (wider.reject, wider.verify) == (plain.reject, plain.verify)


def most_right(accept: np.ndarray, refuse: np.ndarray) -> float:
    """Try every cut there is: the largest sum of the two shares of right answers."""
    cuts = [*accept, *refuse, 2.0]
    return max(np.mean(accept >= cut) + np.mean(refuse < cut) for cut in cuts)


def test_thresholds_have_the_most_right_answers(
    trials: tuple[Tensor, ...], fitted: Calibration
) -> None:
    same, different, known, truth, unknown = trials
    right = known[known.argmax(1) == truth].amax(1)
    for threshold, accept, refuse in (
        (fitted.reject, right, unknown.amax(1)),
        (fitted.verify, same, different),
    ):
        yes = fitted.probability(accept).double().numpy()
        no = fitted.probability(refuse).double().numpy()
        reached = np.mean(yes >= threshold) + np.mean(no < threshold)
        assert reached == pytest.approx(most_right(yes, no), abs=1e-9)
        assert 0 < threshold < 1


def test_thresholds_of_tied_scores(trials: tuple[Tensor, ...]) -> None:
    fitted = fit_calibration(two_values(80, 100), two_values(300, 1000), *trials[2:])
    low, high = fitted.probability(torch.tensor([0.0, 1.0])).tolist()
    assert low < fitted.verify < high


def test_separable_scores_are_separated() -> None:
    same, different = torch.tensor([2.0, 3.0]), torch.tensor([-1.0, 0.0])
    known, truth = torch.tensor([[2.0, -1.0], [0.0, 3.0]]), torch.tensor([0, 1])
    fitted = fit_calibration(same, different, known, truth, torch.tensor([[0.0, -1.0]]))
    assert (fitted.probability(same) >= fitted.verify).all()
    assert (fitted.probability(different) < fitted.verify).all()
    assert (fitted.probability(same) >= fitted.reject).all()
    assert fitted.probability(torch.tensor(0.0)) < fitted.reject


def test_nothing_answered_rightly_still_gives_numbers() -> None:
    known = torch.tensor([[2.0, 1.0], [3.0, 1.0]])
    fitted = fit_calibration(
        known[:, 1], known[:, 0] - 3, known, torch.tensor([1, 1]), torch.tensor([[0.0], [0.5]])
    )
    assert np.isfinite(list(fitted.to_dict().values())).all()


def test_order_is_kept(fitted: Calibration) -> None:
    raw = torch.linspace(-30, 20, 501)
    score = fitted.probability(raw)
    assert fitted.slope > 0
    assert (score.diff() >= 0).all()
    assert (score.diff()[200:350] > 0).all()
    assert ((score >= 0) & (score <= 1)).all()


def test_survives_a_card(fitted: Calibration) -> None:
    assert Calibration(**fitted.to_dict()) == fitted


def test_cosines_to_prototypes_of_any_number_of_shots_are_brought_together() -> None:
    # vectors with mutual cosine r: a common part and parts of their own, all orthogonal
    r, generator = 0.4, torch.Generator().manual_seed(1)
    noise = torch.randn(4000, 2000, generator=generator)
    noise[:, 0] = 0
    noise *= ((1 - r) ** 0.5) / noise.norm(dim=1, keepdim=True)
    noise[:, 0] = r**0.5
    query = noise[:200]
    for shots in (1, 2, 5, 16):
        support = noise[200 : 200 + 200 * shots].view(200, shots, -1).mean(1)
        cosines = (query * support).sum(1) / support.norm(dim=1)
        found = float(cosines.mean()) * float(shots_factor(r, shots))
        assert found == pytest.approx(r, abs=0.01)
    assert shots_factor(None, 7) == shots_factor(-0.1, 7) == 1.0


def test_likeness_is_kept_only_where_there_is_one(fitted: Calibration) -> None:
    assert "likeness" not in fitted.to_dict()
    assert replace(fitted, likeness=0.3).to_dict()["likeness"] == 0.3
