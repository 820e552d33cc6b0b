"""OSLSM's training: rates, batches, what learns, and that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from handful import zoo
from handful.backbones import build
from handful.data.segmentation.folder import read_folder
from handful.errors import InputError
from handful.methods import segmenters
from handful.methods.oslsm import OSLSM, loss
from handful.methods.oslsm.segmentation import OSLSMSegmentation
from handful.training.recipe import read_recipe
from handful.training.run import run_recipe
from handful.training.segmentation_photos import Drawn
from handful.training.tasks.oslsm import OSLSMOptions, OSLSMTask


def task(squares: Path, **options: object) -> OSLSMTask:
    about = {"size": 64, "batch": 4, "validation_episodes": 4, "layers": ["stride8", "stride16"]}
    about |= {"outputs": 16, "width": 32, "support_size": 64, "view": "object", "rate": 0.05}
    o = OSLSMOptions.model_validate(about | options)
    torch.manual_seed(0)
    model = OSLSM(
        build("random:handful-base"),
        o.layers,
        o.outputs,
        o.width,
        o.kernel,
        o.train,
        o.view,
        o.support_size,
    )
    return OSLSMTask(model, read_folder(squares), ("red", "green"), ("blue", "grey"), o, 40, 0)


def first_photos(trained: OSLSMTask) -> Drawn:
    """The first three photos of a class."""
    photos, labels = trained.draws.table[:3].T.tolist()
    assert len(set(labels)) == 1
    return Drawn(photos[0], labels[0], photos[1:])


def grads(trained: OSLSMTask) -> dict[str, torch.Tensor]:
    named = trained.model.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


@pytest.mark.parametrize("train", ["heads", "all"])
def test_every_parameter_has_the_rate_of_its_branch(squares: Path, train: str) -> None:
    trained = task(squares, train=train, rate=0.2, conditioning=0.1)
    optimizer = trained.optimizer()
    trained.schedule(optimizer, 20)  # half way down the cosine
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    names = dict(trained.model.named_parameters())
    assert {id(p) for p in names.values()} == rates.keys()
    for name, parameter in names.items():
        conditions = name.startswith(("conditioning.", "backbones.1."))
        expected = 0.2 * 0.5 * (0.1 if conditions else 1) * (2 if name.endswith("bias") else 1)
        assert rates[id(parameter)] == pytest.approx(expected), name
    assert any(name.startswith("backbones.1.") for name in names) == (train == "all")


def test_a_rate_may_stay(squares: Path) -> None:
    trained = task(squares, constant=True, rate=0.2)
    optimizer = trained.optimizer()
    trained.schedule(optimizer, 39)
    assert optimizer.param_groups[0]["lr"] == 0.2


@pytest.mark.parametrize("summed", [False, True])
def test_accumulated_batches_are_one_step(squares: Path, summed: bool) -> None:
    trained = task(squares, accumulate=3, batch=2, summed=summed)
    assert trained.batch_size == 6
    value = trained.loss(torch.Generator().manual_seed(1))
    torch.autograd.backward(value)
    found = grads(trained)
    trained.model.zero_grad()
    generator = torch.Generator().manual_seed(1)
    parts = [trained._loss(generator) for _ in range(3)]
    whole = torch.stack(parts).sum() if summed else torch.stack(parts).mean()
    torch.autograd.backward(whole)
    torch.testing.assert_close(value, whole)
    for name, gradient in grads(trained).items():
        torch.testing.assert_close(found[name], gradient, msg=name)


def test_classes_are_drawn_evenly_and_supports_are_other_photos(squares: Path) -> None:
    trained = task(squares, shots=2)
    drawn = trained.draws.draw(400, torch.Generator().manual_seed(0))
    labels = trained.photos.dataset.labels
    counts = [sum(labels[t.label] == name for t in drawn) for name in ("red", "green")]
    assert sum(counts) == 400
    assert abs(counts[0] - 200) < 50
    for one in drawn:
        assert len({one.query, *one.support}) == 3
        assert trained.photos.dataset.present[[one.query, *one.support], one.label].all()


def test_what_is_kept_answers_as_what_is_made_again(squares: Path) -> None:
    kept, fresh = task(squares), task(squares, memory=0.0)
    asked = first_photos(kept)
    with torch.no_grad():
        first, again, other = kept._logits([asked]), kept._logits([asked]), fresh._logits([asked])
    assert torch.equal(first, again)
    assert torch.equal(first, other)
    assert len(kept._embeddings) == 2
    assert len(fresh._embeddings) == 0


def test_training_and_the_door_see_alike(squares: Path) -> None:
    trained = task(squares, shots=2)
    asked = first_photos(trained)
    method = OSLSMSegmentation(trained.net, "oslsm")
    features = method.encode([trained.photos.pixels(x) for x in (asked.query, *asked.support)])
    masks = [trained.photos.mask(x, asked.label) for x in asked.support]
    with torch.no_grad():
        logits = trained._logits([asked])
    answer = method.answer(features[0], [method.condition(features[1:], masks)])
    torch.testing.assert_close(answer.masks, logits.sigmoid(), atol=2e-3, rtol=0)


def test_the_heads_learn_and_the_backbone_stays(squares: Path) -> None:
    trained = task(squares, conditioning=1.0, momentum=0.9)
    before = {k: v.clone() for k, v in trained.net.backbone.state_dict().items()}
    optimizer = trained.optimizer()
    losses = []
    for step in range(40):
        trained.schedule(optimizer, 0)
        optimizer.zero_grad()
        value = trained.loss(torch.Generator().manual_seed(step % 2))
        torch.autograd.backward(value)
        optimizer.step()
        losses.append(float(value.detach()))
    assert np.mean(losses[-2:]) < 0.7 * np.mean(losses[:2])
    after = trained.net.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert trained.model.state_dict().keys() == trained.net.learned().keys()


def test_everything_learns_where_that_is_asked_for(squares: Path) -> None:
    trained = task(squares, train="all", batch=2, memory=4.0)
    before = {k: v.clone() for k, v in trained.model.named_parameters()}
    optimizer = trained.optimizer()
    trained.schedule(optimizer, 0)
    torch.autograd.backward(trained.loss(torch.Generator().manual_seed(0)))
    optimizer.step()
    moved = {k for k, v in trained.model.named_parameters() if not torch.equal(v, before[k])}
    for part in ("conditioning.classify", "dense.second", "backbones.0", "backbones.1"):
        assert any(name.startswith(part) for name in moved), part
    # the last projection of the segmentation's network, and the maps' of the other, are not used
    assert "backbones.1.network.stem.weight" in moved
    assert "backbones.0.network.stem.weight" in moved


def test_validation_leaves_the_model_in_place(squares: Path) -> None:
    trained = task(squares)
    mine = trained.net.dense
    other = OSLSM("random:handful-base", trained.net.layers, 16, 32, view="object").learner()
    for parameter in other["conditioning"].parameters():
        torch.nn.init.zeros_(parameter)
    # logits of 0 are above the cut: everything is answered, and the mIoU is the object's share
    share = trained.validate(other)["miou"]
    assert share == pytest.approx(40 * 40 / 96**2, abs=0.02)
    assert trained.net.dense is mine


@pytest.mark.parametrize("positive", [1.0, 3.0])
def test_the_loss_is_of_known_pixels_alone(positive: float) -> None:
    logits = torch.randn(2, 3, 3, dtype=torch.float64)
    target = torch.tensor([[[0, 1, 255]] * 3, [[255] * 3] * 3])
    terms = []
    for n, y, x in np.ndindex(2, 3, 3):
        if target[n, y, x] != 255:
            p = 1 / (1 + np.exp(-float(logits[n, y, x])))
            terms.append(-positive * np.log(p) if target[n, y, x] == 1 else -np.log(1 - p))
    for summed, expected in ((False, np.mean(terms)), (True, np.sum(terms))):
        found = loss(logits, target, summed, positive)
        assert float(found) == pytest.approx(expected, rel=1e-6)
    assert float(loss(logits[1:], target[1:])) == 0


def test_a_run_is_an_entry_that_segments(squares: Path, tmp_path: Path) -> None:
    changes = ["options.data=folder", "options.size=64", "options.batch=2", "loop.steps=2"]
    changes += ["loop.validate_every=1", "validation=[blue, grey]", "options.validation_episodes=2"]
    changes += ["options.backbone=handful-base", "options.outputs=16", "options.width=32"]
    changes += ["options.begin=random"]
    answer = run_recipe(read_recipe("oslsm", changes), squares, tmp_path / "run")
    card = zoo.card(tmp_path / "run")
    assert (card.task, card.method, card.backbone) == ("segment", "oslsm", "handful-base")
    assert "blue" not in (tmp_path / "run" / "files.txt").read_text()
    method = segmenters.load("oslsm:handful-base", answer["weights"], "cpu")
    assert isinstance(method, OSLSMSegmentation)
    assert method.model.layers == ("stride16", "stride32")
    with pytest.raises(InputError, match="--weights RUN"):
        segmenters.load("oslsm:handful-base")
    with pytest.raises(InputError, match="another OSLSM"):
        segmenters.load("oslsm:random:handful-base-source", answer["weights"], "cpu")


def test_a_beginning_that_is_aligned_answers_before_it_learns(squares: Path) -> None:
    about = {"size": 96, "validation_episodes": 6, "layers": ["stride32"], "begin": "aligned"}
    about |= {"outputs": 64, "width": 256, "support_size": 96, "view": "object"}
    o = OSLSMOptions.model_validate(about)
    torch.manual_seed(0)
    model = OSLSM(build("random:resnet18"), o.layers, o.outputs, o.width, view=o.view)
    trained = OSLSMTask(model, read_folder(squares), ("red", "green"), ("blue", "grey"), o, 40, 0)
    before = model.conditioning.classify.weight.clone()
    trained.align(0)
    first = model.dense.state_dict()["first.stride32.weight"].clone()
    assert not torch.equal(model.conditioning.classify.weight, before)
    trained.align(0)
    assert torch.equal(model.dense.state_dict()["first.stride32.weight"], first)
    with torch.no_grad():
        logits = trained._logits(trained.draws.draw(8, torch.Generator().manual_seed(1)))
    assert 0.1 < float(logits.std()) < 10
