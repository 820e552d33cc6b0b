"""The training of dense matching: what it looks at, what learns, and that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from handful import zoo
from handful.backbones import build
from handful.data.segmentation.folder import read_folder
from handful.methods import segmenters
from handful.methods.dense_siamese import DenseSiamese
from handful.training.recipe import read_recipe
from handful.training.run import run_recipe
from handful.training.tasks.dense_siamese import DenseSiameseOptions, DenseSiameseTask


def task(root: Path, **options: object) -> DenseSiameseTask:
    torch.manual_seed(0)
    model = DenseSiamese(build("handful-base").load(), ["stride8", "stride16"], 16)
    about = {"size": 96, "batch": 3, "validation_episodes": 4, "width": 16} | options
    known = DenseSiameseOptions.model_validate(about)
    return DenseSiameseTask(
        model, read_folder(root), ("red", "green"), ("blue", "grey"), known, 9, 0
    )


@torch.no_grad()
def test_half_of_the_pixels_are_drawn_each_with_its_label(squares: Path) -> None:
    trained = task(squares, shots=2)
    drawn = trained.draws.draw(3, torch.Generator().manual_seed(0))
    photos = [one.support for one in drawn]
    found, labels = trained._pixels(photos, drawn, torch.Generator().manual_seed(1))
    assert found.shape == (3, 144, 16)  # of two shots of 12 x 12 cells
    assert labels.shape == (3, 144)
    for n, (one, row) in enumerate(zip(drawn, photos, strict=True)):
        maps = trained.net.features(trained.photos.features(row)).flatten(2).mT.flatten(0, 1)
        truth = torch.cat([trained._labels(x, one.label, (12, 12)).flatten() for x in row])
        gaps = (found[n][:, None] - maps[None]).abs().sum(2)
        places = gaps.argmin(1)
        assert float(gaps.amin(1).max()) < 1e-4
        assert len(places.unique()) == 144
        assert torch.equal(labels[n], truth[places])


def test_similarity_and_features_learn_and_the_backbone_does_not(squares: Path) -> None:
    trained = task(squares, rate=0.02)
    before = {k: v.clone() for k, v in trained.net.backbone.state_dict().items()}
    start = {k: v.clone() for k, v in trained.model.state_dict().items()}
    optimizer = trained.optimizer()
    losses = []
    for step in range(12):
        trained.schedule(optimizer, 0)
        optimizer.zero_grad()
        loss = trained.loss(torch.Generator().manual_seed(step % 2))
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-2:]) < 0.8 * np.mean(losses[:2])
    assert all(not torch.equal(start[k], v) for k, v in trained.model.state_dict().items())
    after = trained.net.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    trained.schedule(optimizer, 9)
    assert all(group["lr"] == pytest.approx(0) for group in optimizer.param_groups)


def test_validation_finds_squares_and_leaves_the_model_in_place(squares: Path) -> None:
    trained = task(squares)
    mine = trained.net.similarity
    other = DenseSiamese(trained.net.backbone, ["stride8", "stride16"], 16).similarity
    assert trained.validate(other)["miou"] > 0.3
    assert trained.net.similarity is mine


def test_a_run_is_a_method(squares: Path, tmp_path: Path) -> None:
    changes = ["options.data=folder", "options.size=96", "options.batch=2", "loop.steps=2"]
    changes += ["options.backbone=handful-base", "options.layers=[stride8]", "options.width=8"]
    changes += ["loop.validate_every=1", "validation=[blue, grey]", "options.validation_episodes=2"]
    answer = run_recipe(read_recipe("dense-siamese", changes), squares, tmp_path / "run")
    card = zoo.card(tmp_path / "run")
    assert (card.task, card.method, card.backbone) == ("segment", "dense-siamese", "handful-base")
    assert "blue" not in (tmp_path / "run" / "files.txt").read_text()
    method = segmenters.load("dense-siamese", weights=answer["weights"])
    features = method.encode([np.zeros((96, 96, 3), np.uint8)])
    assert next(iter(features[0].values())).shape == (8, 12, 12)
