"""From a folder of individuals to a model that knows the others of their kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from handful import methods, zoo
from handful.backbones import build
from handful.backbones.photos import preparation
from handful.backbones.projection import PooledMaps
from handful.data.class_folders import read_class_folders
from handful.errors import InputError
from handful.training.recipe import held_out, read_recipe
from handful.training.run import run_recipe
from handful.training.tasks.projection import _pool

SMALL = ["options.size=64", "options.maps=[stride8]", "options.episodes=20", "options.shots=[1]"]


def test_a_projection_is_fitted_saved_and_loaded(coats: Path, tmp_path: Path) -> None:
    recipe = read_recipe("projection", [*SMALL, "validation=0.4"])
    answer = run_recipe(recipe, coats, tmp_path / "run")
    card = zoo.card(tmp_path / "run")
    held = held_out(recipe, [f"coat{i}" for i in range(10)], 0)
    assert len(held) == 4
    listed = (tmp_path / "run" / "files.txt").read_text()
    assert all((f"coat{i}/" in listed) != (f"coat{i}" in held) for i in range(10))
    assert card.files is not None
    assert card.files.count == 24
    assert answer["weights"] == str(tmp_path / "run" / "weights.safetensors")

    matcher = methods.load(tmp_path / "run", device="cpu")
    photos = [np.asarray(Image.open(path)) for path in sorted(coats.rglob("*.png"))]
    vectors = matcher.encode(photos)
    assert vectors.shape == (40, card.input["outputs"])
    assert matcher.calibration is not None
    scores = vectors @ vectors.T
    scores.fill_diagonal_(-9)
    assert float((scores.argmax(1) // 4 == np.arange(40) // 4).float().mean()) > 0.7


def test_another_backbone_is_refused(coats: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_recipe(read_recipe("projection", [*SMALL, "validation=0.4"]), coats, run)
    card = zoo.card(run)
    changed = card.model_copy(update={"input": {**card.input, "backbone_sha256": "0" * 64}})
    (run / "card.json").write_text(changed.model_dump_json())
    with pytest.raises(InputError, match="trained on weights with SHA-256"):
        methods.load(run)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("validation=[coat1, zebra]", "no class 'zebra'"),
        ("validation=[coat1]", "no two on each side"),
        ("validation=0.95", "no two on each side"),
        ("options.maps=[stride4]", "no map 'stride4'"),
        ("options.maps=[]", "at least 1"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(
    coats: Path, tmp_path: Path, change: str, match: str
) -> None:
    with pytest.raises(InputError, match=match) as error:
        run_recipe(read_recipe("projection", [*SMALL, change]), coats, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_objects_of_one_photo_keep_their_own_labels(coats: Path, tmp_path: Path) -> None:
    pair = [np.asarray(Image.open(coats / f"coat{number}" / "0.png")) for number in (0, 9)]
    Image.fromarray(np.concatenate(pair, 1)).save(tmp_path / "both.png")
    rows = ["path,label,x,y,width,height", "both.png,left,0,0,64,64", "both.png,right,64,0,64,64"]
    (tmp_path / "boxes.csv").write_text("\n".join(rows) + "\n")
    pooled = PooledMaps(build("random:handful-base"), ["stride8"])
    features, read = _pool(pooled, read_class_folders(tmp_path / "boxes.csv"), 64)
    assert read.labels == ("left", "right")
    whole = torch.from_numpy(preparation(pooled.backbone, 64)(np.concatenate(pair, 1)))[None]
    with torch.no_grad():
        for row in features:
            assert not torch.allclose(row, pooled(whole)[0], rtol=1e-3)
    assert not torch.allclose(features[0], features[1], rtol=1e-3)
