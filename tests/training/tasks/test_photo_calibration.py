"""What handful-base's cosines mean, fitted on a folder of classes."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from handful import zoo
from handful.methods.calibration import Calibration
from handful.training.recipe import read_recipe
from handful.training.run import run_recipe

SMALL = ["options.size=64", "options.ways=[2]", "options.shots=[1]", "options.episodes=20"]


def test_the_validation_classes_alone_are_read_and_damaged_files_left_out(
    coats: Path, tmp_path: Path
) -> None:
    photos, held = tmp_path / "coats", [f"coat{i}" for i in range(4)]
    shutil.copytree(coats, photos)
    damaged = photos / "coat0" / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    recipe = read_recipe("handful-base", [*SMALL, f"validation=[{','.join(held)}]"])
    run_recipe(recipe, photos, tmp_path / "run")

    # files.txt gathers them by folder, with their number
    listed = (tmp_path / "run" / "files.txt").read_text().splitlines()
    assert listed == [
        f"{name}/: 0.png .. {last}.png ({last + 1})"
        for name, last in zip(held, (2, 3, 3, 3), strict=True)
    ]
    found = zoo.card(tmp_path / "run").calibration
    assert found is not None
    same, other = Calibration(**found).probability(torch.tensor([0.99, 0.2])).tolist()
    assert same > 0.5 > other
