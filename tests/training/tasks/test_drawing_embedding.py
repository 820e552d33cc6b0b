"""Training of the drawing embedding: its losses, its rates, what it draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from handful.similarity import cosine
from handful.training.characters import Characters
from handful.training.tasks import drawing_embedding
from handful.training.tasks.drawing_embedding import (
    DrawingEmbeddingOptions,
    DrawingEmbeddingTask,
    one_shot_loss,
)

NETWORK = {"size": 12, "widths": [4, 6], "depths": [1, 1], "views": 2}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def alphabets(*sizes: int) -> Characters:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (sum(sizes), 4, 12, 12)).astype(np.uint8)
    return Characters(images, np.repeat(np.arange(len(sizes)), sizes))


def task(steps: int = 100, **options: object) -> DrawingEmbeddingTask:
    settings = {"network": NETWORK, "batch": 32, "members": 4, "validation_trials": 40}
    known = DrawingEmbeddingOptions.model_validate(settings | options)
    return DrawingEmbeddingTask(alphabets(8, 9, 11), alphabets(21, 24), known, steps, seed=5)


def test_one_shot_loss_is_the_cross_entropy_both_ways() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(3, 4, 4))
    character = np.array([[0, 1, 2, 3], [5, 6, 5, 6], [9, 8, 7, 9]])
    loss = []
    for group, names in zip(logits, character, strict=True):
        for table in (group, group.T):
            for row in range(4):
                # other columns of the same character do not compete
                rivals = [c for c in range(4) if c == row or names[c] != names[row]]
                loss.append(np.logaddexp.reduce(table[row, rivals]) - table[row, row])
    found = one_shot_loss(torch.from_numpy(logits), torch.from_numpy(character))
    assert float(found) == pytest.approx(np.mean(loss), rel=1e-9)


def test_the_loss_names_turned_characters_and_asks_one_shot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained = task(turns=8, rivalry=0.7, temperature=0.2, hand={})
    drawn, turned = drawing_embedding.rivals, drawing_embedding.quarter_turns
    characters: list[Tensor] = []
    turns: list[Tensor] = []
    monkeypatch.setattr(
        drawing_embedding, "rivals", lambda *a: characters.extend(drawn(*a)) or tuple(characters)
    )
    monkeypatch.setattr(
        drawing_embedding,
        "quarter_turns",
        lambda ink, turn: turns.append(turn) or turned(ink, turn),
    )
    outputs: list[Tensor] = []
    trained.network.register_forward_hook(lambda _, x, y: outputs.append(y.detach()))
    with torch.no_grad():
        found = float(trained.loss(seeded(2)))
    character, turn, features = characters[0], turns[0], outputs[0]
    # groups of one turn; every pair of character and turn is a class of its own
    assert character.shape == (4, 2, 4)
    assert (turn.view(4, 8) == turn.view(4, 8)[:, :1]).all()
    assert turn.max() < 8
    name = character.flatten() * 8 + turn
    named = trained.model.naming(features, name)  # type: ignore[operator]
    vectors = features.view(4, 2, 4, -1)
    logits = torch.stack([cosine(group[1], group[0]) for group in vectors]) / 0.2
    expected = named.detach() + 0.7 * one_shot_loss(logits, character[:, 0])
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_only_the_networks_maps_decay() -> None:
    trained = task(decay=0.3)
    decaying, rest = trained.optimizer().param_groups
    assert (decaying["weight_decay"], rest["weight_decay"]) == (0.3, 0.0)
    expected = {id(p) for p in trained.network.parameters() if p.ndim > 1}
    assert {id(p) for p in decaying["params"]} == expected
    every = {id(p) for p in (*decaying["params"], *rest["params"])}
    assert every == {id(p) for p in trained.model.parameters()}


def test_the_rate_rises_then_falls_along_a_cosine() -> None:
    trained = task(steps=200, rate=0.01, warmup=0.1)
    optimizer = trained.optimizer()
    rates = []
    for step in range(200):
        trained.schedule(optimizer, step)
        rates.append(optimizer.param_groups[1]["lr"])
    np.testing.assert_allclose(np.diff(rates[:20]), 0.01 / 20, rtol=1e-6)
    assert max(rates) == pytest.approx(0.01, rel=1e-3)
    after = np.arange(20, 200)
    fall = (1 + np.cos(np.pi * (after - 20) / 180)) / 2
    np.testing.assert_allclose(rates[20:], 0.01 * fall, rtol=1e-9)


def test_validation_is_the_accuracy_of_its_runs() -> None:
    trained = task()
    features = trained.encode_runs(trained.network.eval(), trained.runs)
    right = [
        int(names[int(cosine(query[None], run[0]).argmax())] == names[way])
        for run, names in zip(features, trained.runs.character[:, 0], strict=True)
        for way, query in enumerate(run[1])
    ]
    assert len(right) == 40
    assert trained.validate(trained.model) == {"one_shot": sum(right) / 40}


def test_steps_lower_the_loss() -> None:
    trained = task(rate=0.01, hand={"rotate": 0.0})
    optimizer = trained.optimizer()
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = trained.loss(seeded(1))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
