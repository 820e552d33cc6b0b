"""Metric learning: what mining adds, what is frozen stays, and a short run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from handful import methods, zoo
from handful.backbones import build
from handful.backbones.tail import Tail
from handful.errors import InputError
from handful.training.recipe import read_recipe
from handful.training.run import run_recipe

SMALL = [
    "validation=0.4",
    "loop.steps=2",
    "loop.validate_every=1",
    "loop.precision=32-true",
    "options.size=64",
    "options.classes=4",
    "options.photos=2",
    "options.tuples=1",
]


def test_what_a_loss_learns_is_kept_with_the_run(coats: Path, tmp_path: Path) -> None:
    changes = ["options.loss=proxy-nca", "options.gamma=0"]
    run_recipe(read_recipe("triplet", [*SMALL, *changes]), coats, tmp_path / "run")
    kept = zoo.load_weights(tmp_path / "run" / "weights.safetensors")
    assert not any("proxies" in name for name in kept)  # nobody compares photos by them


@pytest.mark.parametrize("name", ["contrastive", "triplet", "quadruplet"])
def test_a_run_of_every_recipe(coats: Path, tmp_path: Path, name: str) -> None:
    answer = run_recipe(read_recipe(name, SMALL), coats, tmp_path / "run")
    card = zoo.card(tmp_path / "run")
    assert (card.method, card.backbone, card.input["tail"]) == ("prototypes", "handful-base", 512)
    assert answer["best"]["images"] == 2 * 8

    tuned = methods.load(tmp_path / "run", device="cpu")
    photos = [np.asarray(Image.open(path)) for path in sorted(coats.rglob("*.png"))[:6]]
    vectors = tuned.encode(photos)
    assert vectors.shape == (6, 512)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(6))
    # two small steps away from where it began
    before = methods.load("handful-base", device="cpu", size=64).encode(photos)
    assert 1e-5 < float((vectors - before).abs().max()) < 0.2


def test_mining_changes_the_weights_and_none_is_plain(coats: Path, tmp_path: Path) -> None:
    found = {}
    for gamma in (0, 0.2):
        recipe = read_recipe("triplet", [*SMALL, f"options.gamma={gamma}"])
        answer = run_recipe(recipe, coats, tmp_path / str(gamma))
        found[gamma] = zoo.load_weights(answer["weights"])
    changed = [
        float((found[0][key] - found[0.2][key]).abs().max()) for key in found[0]
    ]  # fmt: skip
    assert max(changed) > 0


def test_only_the_last_parts_learn(coats: Path, tmp_path: Path) -> None:
    recipe = read_recipe("triplet", [*SMALL, "options.last=1", "options.decay=0.1"])
    run_recipe(recipe, coats, tmp_path / "run")
    kept = zoo.load_weights(tmp_path / "run" / "weights.safetensors")
    whole = {k: v.half() for k, v in Tail(build("handful-base").load()).state_dict().items()}
    moved = [name for name in kept if not torch.equal(kept[name], whole[name])]
    assert moved == ["projection.weight"]


def test_what_is_kept_lies_on_the_way(coats: Path, tmp_path: Path) -> None:
    found = []
    for share in (1, 0.25):
        changes = ["loop.steps=1", "options.rate=0.02", f"options.share={share}"]
        answer = run_recipe(
            read_recipe("triplet", [*SMALL, *changes]), coats, tmp_path / str(share)
        )
        found.append(zoo.load_weights(answer["weights"]))
    start = Tail(build("handful-base").load()).state_dict()
    moved = 0.0
    for name, value in start.items():
        whole, part = (f[name].float() - value for f in found)
        # kept in half precision
        assert bool(((part - whole / 4).abs() < 2e-3 * (1 + value.abs())).all())
        moved = max(moved, float(whole.abs().max()))
    assert moved > 0.015


def test_too_few_classes_are_one_line(coats: Path, tmp_path: Path) -> None:
    recipe = read_recipe("triplet", [*SMALL, "options.classes=9"])
    with pytest.raises(InputError, match="a batch of 9 classes: there are 6"):
        run_recipe(recipe, coats, tmp_path / "run")
