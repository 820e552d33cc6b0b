"""PCB's training: what learns, how fast, and a short run with and without mining."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from handful import methods, zoo
from handful.backbones import build
from handful.backbones.tail import Tail
from handful.data.retrieval_sets import read_reid_set
from handful.evaluation.protocols.reid import measure
from handful.explain import Explainer
from handful.methods.pcb import PartHead
from handful.training.recipe import read_recipe
from handful.training.run import run_recipe
from handful.training.tasks.pcb import PartLearner

SMALL = [
    "validation=0.4",
    "loop.steps=2",
    "loop.validate_every=1",
    "options.size=[96, 64]",
    "options.classes=4",
    "options.photos=2",
]


@pytest.mark.parametrize("name", ["pcb", "pcb-sam"])
def test_a_run_makes_a_model_that_compares_parts(coats: Path, tmp_path: Path, name: str) -> None:
    run_recipe(read_recipe(name, SMALL), coats, tmp_path / "run")
    card = zoo.card(tmp_path / "run")
    assert card.input["size"] == [96, 64]
    tuned = methods.load(tmp_path / "run", device="cpu")
    photos = [np.asarray(Image.open(path)) for path in sorted(coats.rglob("*.png"))[:3]]
    vectors = tuned.encode(photos)
    assert vectors.shape == (3, 6 * 1280)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    # the same by hand: the map, without its last halving, in stripes of a row each
    backbone = build("handful-base").load()
    tail = Tail(backbone, fine=True)
    weights = zoo.load_weights(tmp_path / "run" / "weights.safetensors")
    tail.layers.load_state_dict({key: value.float() for key, value in weights.items()})
    with torch.no_grad():
        pixels = tuned.embedder.pixels(photos)  # type: ignore[attr-defined]
        maps = tail.eval().layers(tail.trunk(pixels))
    assert maps.shape == (3, 1280, 6, 4)
    expected = maps.mean(3).transpose(1, 2).flatten(1)
    torch.testing.assert_close(vectors, torch.nn.functional.normalize(expected, dim=1))
    # and what it compares can be explained
    explained = Explainer(tuned).explain(photos[0], [photos[1]], [photos[2]])
    assert explained.anchor.grid.shape == (6, 4)
    assert explained.anchor.grid.max() == 1
    found = measure(tuned, read_reid_set(coats))
    assert 0 <= found.metrics["cmc@1"] <= 1
    assert found.n == 40


def test_mining_changes_what_is_learned(coats: Path, tmp_path: Path) -> None:
    found = []
    for gamma in (0, 0.2):
        recipe = read_recipe("pcb-sam", [*SMALL, f"options.gamma={gamma}"])
        answer = run_recipe(recipe, coats, tmp_path / str(gamma))
        found.append(zoo.load_weights(answer["weights"]))
    assert max(float((found[0][key] - found[1][key]).abs().max()) for key in found[0]) > 0


def test_the_head_learns_faster_and_the_projection_not() -> None:
    torch.manual_seed(0)
    tail = Tail(build("random:handful-base"), fine=True)
    learner = PartLearner(tail, PartHead(tail.channels, 4), new=10)
    slow, fast = learner.groups(0.5)
    assert (slow["rate"], fast["rate"]) == (0.5, 5.0)
    assert len(fast["params"]) == 3 + 2 * 6  # type: ignore[arg-type]
    frozen = torch.randn(8, 96, 6, 6)
    maps, vectors = learner(frozen)
    learner.criterion(maps, vectors, torch.arange(8) % 4).backward()
    learned = {id(p) for group in (slow, fast) for p in group["params"]}  # type: ignore[attr-defined]
    for name, parameter in learner.named_parameters():
        assert (parameter.grad is not None) == (id(parameter) in learned), name
    assert "projection" in "".join(name for name, p in learner.named_parameters() if p.grad is None)
