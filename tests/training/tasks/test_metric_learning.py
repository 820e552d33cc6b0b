"""Metric learning: what a batch and a tuple hold, what mining adds, and a short run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from handful import methods, zoo
from handful.errors import InputError
from handful.training.recipe import read_recipe
from handful.training.run import run_recipe
from handful.training.tasks.metric_learning import draw_batch, draw_tuples

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


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_batch_has_some_photos_of_some_classes() -> None:
    index = torch.tensor([0] * 5 + [1] * 2 + [2] * 9 + [3] * 3)
    for seed in range(20):
        rows, names = draw_batch(index, 3, 4, seeded(seed))
        assert torch.equal(names, index[rows])
        assert {*Counter(names.tolist()).values()} == {4}
        for way in set(names.tolist()):
            chosen = rows[names == way].tolist()
            # the class of two repeats them evenly, the others repeat none
            assert len(set(chosen)) == min(4, int((index == way).sum()))


@pytest.mark.parametrize(("kind", "images"), [("same", 2), ("triplet", 3), ("quadruplet", 4)])
def test_tuples_have_the_right_classes(kind: str, images: int) -> None:
    names = torch.arange(5).repeat_interleave(3)
    drawn = draw_tuples(names, kind, 50, seeded())  # type: ignore[arg-type]
    assert drawn.shape == (images, 50)
    classes = names[drawn]
    assert torch.equal(classes[0], classes[1])
    assert bool((drawn[0] != drawn[1]).all())
    for column in classes[1:].T.tolist():
        assert len(set(column)) == len(column)
    assert len({*map(tuple, drawn.T.tolist())}) > 20


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


def test_too_few_classes_are_one_line(coats: Path, tmp_path: Path) -> None:
    recipe = read_recipe("triplet", [*SMALL, "options.classes=9"])
    with pytest.raises(InputError, match="a batch of 9 classes: there are 6"):
        run_recipe(recipe, coats, tmp_path / "run")
