"""MSHNet's training: what is drawn, what learns, and that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from handful import zoo
from handful.backbones import build
from handful.data.segmentation.folder import read_folder
from handful.errors import InputError
from handful.methods.mshnet import LIGHT, MSHNet
from handful.training.recipe import read_recipe
from handful.training.run import run_recipe
from handful.training.tasks.mshnet import MSHNetOptions, MSHNetTask


def task(squares: Path, **options: object) -> MSHNetTask:
    torch.manual_seed(0)
    model = MSHNet(build("random:handful-base"), widths=LIGHT)
    about = {"size": 64, "batch": 4, "validation_episodes": 4, "rate": 0.02} | options
    known = MSHNetOptions.model_validate(about)
    return MSHNetTask(model, read_folder(squares), ("red", "green"), ("blue", "grey"), known, 40, 0)


def test_queries_and_supports_are_other_photos_of_training_classes(squares: Path) -> None:
    trained = task(squares)
    labels = [trained.photos.dataset.labels[label] for label in trained.draws.table[:, 1]]
    assert set(labels) == {"red", "green"}
    assert len(trained.draws.files) == 10
    assert all(name.startswith(("images/red", "images/green")) for name in trained.draws.files)


def test_balanced_draws_count_every_class_alike(squares: Path) -> None:
    shares = []
    for balanced in (False, True):
        draws = task(squares, balanced=balanced).draws
        rare = next(iter(draws.pools))
        draws.table = draws.table[(draws.table[:, 1] != rare) | (np.arange(len(draws.table)) < 2)]
        draws.pools = {x: draws.table[draws.table[:, 1] == x, 0] for x in draws.pools}
        drawn = draws.draw(600, torch.Generator().manual_seed(0))
        assert all({one.query, *one.support} <= set(draws.pools[one.label]) for one in drawn)
        assert all(one.query not in one.support for one in drawn)
        shares.append(float(np.mean([one.label == rare for one in drawn])))
    # 2 of 7 photos show the rare class
    assert shares == pytest.approx([2 / 7, 1 / 2], abs=0.06)


def test_absent_queries_show_another_class(squares: Path) -> None:
    draws = task(squares, absent=0.3).draws
    drawn = draws.draw(600, torch.Generator().manual_seed(0))
    shown = [bool(draws.dataset.present[one.query, one.label]) for one in drawn]
    assert 1 - np.mean(shown) == pytest.approx(0.3, abs=0.05)
    assert all(one.query not in one.support for one in drawn)
    trained = {int(photo) for photo in draws.table[:, 0]}
    assert {one.query for one in drawn} <= trained


def test_features_are_the_same_whether_kept_or_not(squares: Path) -> None:
    kept, fresh = task(squares), task(squares, memory=0.0)
    for _ in range(2):
        first, second = kept.photos.features([0, 7]), fresh.photos.features([0, 7])
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert kept.photos._kept
    assert not fresh.photos._kept
    pixels = fresh.photos._pixels[7].transpose(2, 0, 1)[None].astype(np.float32)
    backbone = fresh.net.backbone
    mean, spread = (np.array(x)[:, None, None] * 255 for x in (backbone.mean, backbone.std))
    with torch.no_grad():
        maps = backbone(torch.from_numpy((pixels - mean) / spread).float())
    for name, found in first.items():
        torch.testing.assert_close(found[1:].float(), maps[name], rtol=2e-3, atol=2e-3)


def test_only_head_and_prototypes_learn_and_the_loss_falls(squares: Path) -> None:
    trained = task(squares)
    before = {k: v.clone() for k, v in trained.net.backbone.state_dict().items()}
    optimizer = trained.optimizer()
    losses = []
    for step in range(12):
        trained.schedule(optimizer, 0)
        trained.model.train()
        optimizer.zero_grad()
        loss = trained.loss(torch.Generator().manual_seed(step % 2))
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-2:]) < 0.8 * np.mean(losses[:2])
    after = trained.net.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert set(trained.model.state_dict()) == set(trained.net.learned())


def test_validation_leaves_the_model_in_place(squares: Path) -> None:
    trained = task(squares)
    mine = trained.net.head
    found = trained.validate(trained.model)
    assert 0 <= found["miou"] <= 1
    assert trained.net.head is mine
    assert trained.net.training


def test_a_run_is_an_entry(squares: Path, tmp_path: Path) -> None:
    changes = ["options.data=folder", "options.size=64", "options.batch=2", "loop.steps=2"]
    changes += [
        "options.flip=true",
        "loop.validate_every=1",
        "validation=[blue, grey]",
        "options.validation_episodes=2",
    ]
    answer = run_recipe(read_recipe("mshnet-light", changes), squares, tmp_path / "run")
    card = zoo.card(tmp_path / "run")
    assert (card.task, card.method, card.backbone) == ("segment", "mshnet", "handful-base")
    assert card.calibration is None
    model = MSHNet("handful-base", widths=LIGHT)
    model.load_learned(zoo.load_weights(answer["weights"]))
    assert "blue" not in (tmp_path / "run" / "files.txt").read_text()


def test_a_run_begins_with_what_another_learned(squares: Path, tmp_path: Path) -> None:
    common = ["options.data=folder", "options.size=64", "options.batch=2", "loop.steps=1"]
    common += ["options.validation_episodes=2", "options.rate=1e-12"]
    recipe = read_recipe("mshnet-light", [*common, "validation=[blue, grey]"])
    first = Path(run_recipe(recipe, squares, tmp_path / "first")["run"])
    changes = [f"options.start={first}", "name=second"]
    changes.append("validation=[red, green]")
    second = Path(
        run_recipe(read_recipe("mshnet-light", [*common, *changes]), squares, tmp_path / "second")[
            "run"
        ]
    )
    before, after = (zoo.load_weights(run) for run in (first, second))
    learned = [name for name in before if "running" not in name and "batches" not in name]
    assert set(after) == set(before)
    assert all(torch.equal(before[name], after[name]) for name in learned)
    listed = (second / "files.txt").read_text()
    own, _, earlier = listed.partition("It began with what mshnet-light (weights ")
    assert "blue" in own
    assert "green" not in own
    assert earlier.endswith((first / "files.txt").read_text())
    assert "green" in earlier
    assert "blue" not in earlier
    other = read_recipe("mshnet-light", [*common, *changes, "options.similarity=cosine"])
    with pytest.raises(InputError, match="tensors are of another network"):
        run_recipe(other, squares, tmp_path / "third")
    other["options"]["start"] = str(tmp_path / "nothing")
    with pytest.raises(InputError, match="no model"):
        run_recipe(other, squares, tmp_path / "third")
    assert not (tmp_path / "third").exists()


def test_what_a_trained_model_lacks_begins_as_ever(squares: Path, tmp_path: Path) -> None:
    known = {k: v + 1 for k, v in task(squares).model.state_dict().items() if "cosine" in k}
    zoo.save_entry(tmp_path, zoo.card("mshnet-light"), known)
    begun, fresh = (task(squares, **o).model.state_dict() for o in ({"start": str(tmp_path)}, {}))
    assert known
    for name, value in begun.items():
        assert torch.equal(value, known.get(name, fresh[name]))
