from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from handful import methods, zoo
from handful.errors import InputError
from handful.methods.hashing import HashLibrary, Settings, hyper_train
from handful.methods.hashing.features import features_of, unlabelled_folder
from handful.training.recipe import read_recipe
from handful.training.run import run_recipe

SMALL = {
    "rounds": 3,
    "workers": 1,
    "sample": 60,
    "tries": 5,
    "categories": 3,
    "size_of_category": 4,
    "n_bits": 2,
    "expansion": 8,
    "held_out": 2,
}
SETTINGS = Settings(sample=60, tries=5, categories=3, size=4, n_bits=2, expansion=8, held_out=2)
SETS = [f"options.{key}={value}" for key, value in SMALL.items()]


class Pixels:
    batched = True
    name = backbone = "pixels"

    def encode(self, images: Sequence[np.ndarray]) -> Tensor:
        return torch.stack([torch.from_numpy(i.reshape(-1)).float() - 128 for i in images])

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return query @ support.mT

    def pool(self, support: Tensor) -> Tensor:
        return support.mean(-2)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(methods, "load", lambda *given: Pixels())
    rng = np.random.default_rng(0)
    for i in range(80):
        centre = np.random.default_rng(i % 5).normal(size=(2, 2, 3))
        pixels = (128 + 60 * centre + 20 * rng.normal(size=(2, 2, 3))).clip(0, 255)
        path = tmp_path / "images" / str(i % 7) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path / "images"


def test_a_library_is_an_entry_of_the_zoo(root: Path, tmp_path: Path) -> None:
    answer = run_recipe(read_recipe("hash-library", SETS), root, tmp_path / "run")
    assert answer["weights"] == str(tmp_path / "run/weights.safetensors")
    features = features_of(Pixels(), unlabelled_folder(root))[1]
    expected = hyper_train(features, tmp_path / "again", 3, 0, SETTINGS, 1)
    library = HashLibrary.load(tmp_path / "run")
    assert len(library) == 6
    np.testing.assert_array_equal(library.weights, expected.weights.astype(np.float16))
    card = zoo.card(tmp_path / "run")
    assert (card.task, card.backbone, card.parameters) == ("find", "pixels", 6 * 12 + 6)
    assert card.calibration is None
    assert card.files is not None
    assert card.files.count == 80


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_precisions_and_resuming(root: Path, tmp_path: Path, precision: str) -> None:
    recipe = read_recipe("hash-library", [*SETS, f"options.precision={precision}"])
    run_recipe(recipe, root, tmp_path / "run")
    first = (tmp_path / "run/weights.safetensors").read_bytes()
    (tmp_path / "run/rounds/round-000001.safetensors").unlink()
    run_recipe(recipe, root, tmp_path / "run", resume=True)
    assert (tmp_path / "run/weights.safetensors").read_bytes() == first
    kept = zoo.load_weights(tmp_path / "run")["weights"].dtype
    assert kept == (torch.int8 if precision == "int8" else torch.float16)


def test_rounds_on_principal_axes(root: Path, tmp_path: Path) -> None:
    recipe = read_recipe("hash-library", [*SETS, "options.axes=12"])
    run_recipe(recipe, root, tmp_path / "run")
    first = (tmp_path / "run/weights.safetensors").read_bytes()
    (tmp_path / "run/rounds/round-000001.safetensors").unlink()
    run_recipe(recipe, root, tmp_path / "run", resume=True)
    assert (tmp_path / "run/weights.safetensors").read_bytes() == first
    weights = HashLibrary.load(tmp_path / "run").weights
    # of unit length over the axes, so over the features too
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("options.held_out=8", "held_out: less than the expansion"),
        ("options.categories=30", "80 unlabelled images: a round needs at least 360"),
        ("options.loss=log", "options.loss"),
        ("options.size=9", "options.size"),
    ],
)
def test_wrong_settings_are_found_before_anything_is_written(
    root: Path, tmp_path: Path, change: str, why: str
) -> None:
    recipe: dict[str, Any] = read_recipe("hash-library", [*SETS, change])
    with pytest.raises(InputError, match=why):
        run_recipe(recipe, root, tmp_path / "run")
    assert not (tmp_path / "run").exists()
