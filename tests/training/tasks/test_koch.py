"""Koch's training: the pairs it draws, its loss, its rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import chisquare
from torch import Tensor, nn

from handful.methods import koch_siamese
from handful.training.characters import Characters
from handful.training.tasks import koch
from handful.training.tasks.koch import KochOptions, KochTask, balanced_pairs


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def alphabets(*sizes: int) -> Characters:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (sum(sizes), 4, 6, 6)).astype(np.uint8)
    return Characters(images, np.repeat(np.arange(len(sizes)), sizes))


class Tower(nn.Module):
    """Koch's layers on 6x6 pixels: 40 million weights tell nothing more here."""

    size, features = 6, 5

    def __init__(self, init: str) -> None:
        super().__init__()
        sides = [(1, 2), (2, 3), (3, 3), (3, 4)]
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, 2, 1) for i, o in sides)
        self.dense = nn.Linear(4 * 2 * 2, 5)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.convolutions:
            x = torch.tanh(layer(x))
        return torch.sigmoid(self.dense(x.flatten(1)))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(koch_siamese, "KochTower", Tower)


def task(steps: int = 100, **options: object) -> KochTask:
    settings = KochOptions.model_validate({"distort": False, "validation_trials": 40} | options)
    return KochTask(alphabets(8, 9, 11), alphabets(21, 24), settings, steps, seed=5)


@pytest.fixture(scope="module")
def pairs() -> tuple[Characters, Tensor, Tensor, Tensor]:
    characters = alphabets(10, 15, 40)
    return characters, *balanced_pairs(characters, 6000, seeded())


def test_half_of_the_pairs_show_one_character(
    pairs: tuple[Characters, Tensor, Tensor, Tensor],
) -> None:
    _, character, drawer, same = pairs
    assert character.shape == drawer.shape == (6000, 2)
    assert int(same.sum()) == 3000
    # none of the different ones shows one character by accident
    assert torch.equal(character[:, 0] == character[:, 1], same)


def test_every_pair_has_two_drawers(pairs: tuple[Characters, Tensor, Tensor, Tensor]) -> None:
    drawer = pairs[2]
    assert (drawer[:, 0] != drawer[:, 1]).all()
    counts = np.bincount((4 * drawer[:, 0] + drawer[:, 1]).numpy(), minlength=16).reshape(4, 4)
    assert chisquare(counts[~np.eye(4, dtype=bool)]).pvalue > 1e-3


def test_alphabets_come_equally_often(pairs: tuple[Characters, Tensor, Tensor, Tensor]) -> None:
    characters, character, _, same = pairs
    for chosen in (character[same, 0], character[~same, 0], character[~same, 1]):
        counts = np.bincount(characters.alphabet[chosen.numpy()], minlength=3)
        assert chisquare(counts).pvalue > 1e-3


def test_balanced_loss_is_the_cross_entropy_of_the_pairs() -> None:
    trained = task(pairs="balanced", batch=10)
    assert trained.batch_size == 20
    with torch.no_grad():
        found = float(trained.loss(seeded(3)))
    character, drawer, same = balanced_pairs(trained.training, 10, seeded(3))
    loss = []
    for c, d, s in zip(character.tolist(), drawer.tolist(), same.tolist(), strict=True):
        pages = [
            trained.training.pixels(torch.tensor([c[i]]), torch.tensor([d[i]])) for i in (0, 1)
        ]
        with torch.no_grad():
            p = float(torch.sigmoid(trained.network(*pages).double()))
        loss.append(-np.log(p if s else 1 - p))
    assert found == pytest.approx(np.mean(loss), rel=1e-5)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Characters and drawers of every batch of rivals, as they are drawn."""
    whole, seen = koch.rivals, []

    def rivals(*arguments: Any) -> tuple[Tensor, Tensor]:
        found = whole(*arguments)
        seen.extend(x.flatten() for x in found)
        return found

    monkeypatch.setattr(koch, "rivals", rivals)
    return seen


def test_all_pairs_weigh_same_and_different_alike(drawn: list[Tensor]) -> None:
    trained = task(pairs="all", batch=24, members=6)
    with torch.no_grad():
        found = float(trained.loss(seeded(4)))
        character, drawer = drawn
        assert len(character) == 24
        h = trained.network.tower(trained.training.pixels(character, drawer)).double().numpy()
    alpha, beta = trained.network.alpha.detach().double().numpy(), trained.network.beta.item()
    same, different = [], []
    for i in range(24):
        for j in range(i):
            p = 1 / (1 + np.exp(-np.sum(alpha * np.abs(h[i] - h[j])) - beta))
            alike = character[i] == character[j]
            (same if alike else different).append(-np.log(p if alike else 1 - p))
    assert found == pytest.approx((np.mean(same) + np.mean(different)) / 2, rel=1e-5)


def test_naming_adds_its_loss(drawn: list[Tensor]) -> None:
    options = {"pairs": "all", "batch": 24, "members": 6}
    plain, named = task(**options), task(**options, naming=2.0)
    named.network.load_state_dict(plain.network.state_dict())
    with torch.no_grad():
        extra = float(named.loss(seeded(4))) - float(plain.loss(seeded(4)))
        character, drawer = drawn[:2]
        features = named.network.tower(named.training.pixels(character, drawer))
        # sigmoids centred, so that their cosines can be negative
        expected = 2 * float(named.model.naming(features - 0.5, character))
    assert expected > 1
    assert extra == pytest.approx(expected, rel=1e-5)


def test_every_parameter_has_the_rate_of_its_layer() -> None:
    rates, decay = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    trained = task(rates=rates, decay=decay, naming=1.0, pairs="all")
    optimizer = trained.optimizer()
    network = trained.network
    layers = [*map(list, (x.parameters() for x in network.tower.convolutions))]
    layers += [list(network.tower.dense.parameters()), [network.alpha, network.beta]]
    for group, layer, rate, l2 in zip(optimizer.param_groups, layers, rates, decay, strict=False):
        assert [*map(id, group["params"])] == [*map(id, layer)]
        assert (group["lr"], group["weight_decay"]) == (rate, l2)
    every = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert every == {id(p) for p in trained.model.parameters()}


def test_one_rate_serves_all_layers() -> None:
    optimizer = task(rates=[0.02], optimizer="adam").optimizer()
    assert isinstance(optimizer, torch.optim.Adam)
    assert [group["lr"] for group in optimizer.param_groups] == [0.02] * 6


def test_the_papers_schedule() -> None:
    trained = task(steps=101, rates=[0.02], momentum=(0.5, 0.9), epoch=10, epoch_factor=0.99)
    optimizer = trained.optimizer()
    for step, momentum in ((0, 0.5), (9, 0.536), (10, 0.54), (50, 0.7), (100, 0.9)):
        trained.schedule(optimizer, step)
        for group in optimizer.param_groups:
            assert group["lr"] == pytest.approx(0.02 * 0.99 ** (step // 10))
            assert group["momentum"] == pytest.approx(momentum)


def test_warm_up_and_cosine() -> None:
    trained = task(steps=101, rates=[0.02], optimizer="adam", warmup=20, cosine=True)
    optimizer = trained.optimizer()
    for step, part in ((0, 1 / 20), (9, 0.5), (50, 1.0), (100, 1.0)):
        trained.schedule(optimizer, step)
        fall = (1 + np.cos(np.pi * step / 100)) / 2
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.02 * part * fall, abs=1e-8)


def test_steps_lower_the_loss_of_pairs() -> None:
    trained = task(pairs="all", batch=32, members=8, optimizer="adam", rates=[0.02])
    optimizer = trained.optimizer()
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = trained.loss(seeded(1))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_validation_is_the_accuracy_of_its_runs() -> None:
    trained = task()
    figures = trained.validate(trained.model)
    features = trained.encode_runs(trained.network, trained.runs)
    right = total = 0
    with torch.no_grad():
        for run, names in zip(features, trained.runs.character[:, 0], strict=True):
            scores = trained.network.all_pairs(run[1], run[0])
            right += int((names[scores.argmax(1)] == names).sum())
            total += len(names)
    assert figures == {"one_shot": right / total}
    assert total == 40


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"pairs": "all", "batch": 40, "members": 16}, "batch 40 is no multiple of 2 x members"),
        ({"rates": [1e-3] * 5}, "rates needs one number, or one for each of 6 layers"),
        ({"decay": []}, "decay needs one number"),
        ({"rates": [-1.0]}, "greater than or equal to 0"),
        ({"warmup": -1}, "greater than or equal to 0"),
        ({"batch": 0}, "greater than or equal to 2"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        KochOptions.model_validate(options)


def test_mixed_precision_leaves_alpha_exact() -> None:
    trained = task(pairs="all", batch=32, members=8)
    features = torch.rand(9, 5)
    exact = trained.network.all_pairs(features, features)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = trained.network.all_pairs(features, features)
        assert (features @ features.T).dtype == torch.bfloat16
    assert torch.equal(exact, mixed)
