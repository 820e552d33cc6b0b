from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from handful.backbones import build
from handful.data.segmentation.folder import read_folder
from handful.errors import InputError
from handful.training.recipe import options, read_recipe
from handful.training.segmentation_photos import (
    Drawn,
    Draws,
    Photos,
    SegmentationOptions,
    Validation,
    segmentation_data,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photos: a, a, a, b, b, and one of a and b."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for number, shown in enumerate([(1,), (1,), (1,), (2,), (2,), (1, 2)]):
        mask = np.zeros((80, 100), np.uint8)
        for label in shown:
            y, x = rng.integers(0, 30, 2)
            mask[y : y + 40, x : x + 50] = label
        mask[-3:] = 255
        pixels = rng.integers(0, 256, (80, 100, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    (root / "classes.txt").write_text("1 a\n2 b\n")
    return root


def photos(root: Path, memory: float = 1.0) -> Photos:
    network = build("random:handful-base")
    return Photos(read_folder(root), network, lambda x: {"m": network(x)["stride32"]}, 64, memory)


def test_photos_with_a_validation_class_are_not_trained_on(root: Path) -> None:
    known = SegmentationOptions.model_validate({})
    drawn = Draws(read_folder(root), ("a",), ("b",), known, 0)
    assert drawn.files == ["images/0.png", "images/1.png", "images/2.png"]
    for task in drawn.draw(50, torch.Generator().manual_seed(0)):
        assert task.support[0] in {0, 1, 2} - {task.query}
    with pytest.raises(InputError, match="too few photos show 'b'"):
        Draws(
            read_folder(root), ("b",), ("a",), SegmentationOptions.model_validate({"shots": 2}), 0
        )


def test_of_several_numbers_of_shots_each_query_has_one(root: Path) -> None:
    known = SegmentationOptions.model_validate({"shots": [2, 1]})
    drawn = Draws(read_folder(root), ("a",), ("b",), known, 0)
    tasks = drawn.draw(200, torch.Generator().manual_seed(0))
    counts = [len(set(task.support)) for task in tasks]
    assert set(counts) == {1, 2}
    assert abs(counts.count(1) - 100) < 30
    assert Validation(photos(root), ("a",), known).episodes.shots == 2
    for wrong in ([], [0], 0):
        with pytest.raises(ValidationError, match="shots"):
            SegmentationOptions.model_validate({"shots": wrong})


def test_a_close_up_is_no_example_of_its_own_photo(root: Path) -> None:
    known = SegmentationOptions.model_validate({"close_ups": True})
    drawn = Draws(read_folder(root), ("a",), ("b",), known, 0)
    # objects are 40 pixels high, too small for one; so the photos are three times as large
    assert len(drawn.dataset) == 6
    large = root.parent / "large"
    for folder in ("images", "masks"):
        (large / folder).mkdir(parents=True)
        for file in (root / folder).iterdir():
            with Image.open(file) as image:
                image.resize((300, 240), Image.Resampling.NEAREST).save(large / folder / file.name)
    (large / "classes.txt").write_text("1 a\n2 b\n")
    drawn = Draws(read_folder(large), ("a",), ("b",), known, 0)
    sources = drawn.dataset.sources  # type: ignore[attr-defined]
    assert sources.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert drawn.files == ["images/0.png", "images/1.png", "images/2.png"]
    tasks = drawn.draw(100, torch.Generator().manual_seed(0))
    assert {task.query for task in tasks} == {0, 1, 2, 6, 7, 8}
    assert all(sources[task.query] != sources[task.support[0]] for task in tasks)


def test_miou_is_that_of_counted_pixels(root: Path) -> None:
    given = photos(root)
    validation = Validation(
        given, ("a", "b"), SegmentationOptions.model_validate({"validation_episodes": 12})
    )
    asked: list[Drawn] = []
    answer = np.tile(np.arange(64) < 20, (64, 1))

    def left(task: Drawn) -> NDArray[np.bool_]:
        asked.append(task)
        return answer

    found = validation.miou(left)
    counts: dict[int, list[int]] = {}
    for task in asked:
        whole = np.asarray(Image.open(root / "masks" / f"{task.query}.png"))
        rows, columns = ((np.arange(64) + 0.5) * n / 64 for n in whole.shape)
        mask = whole[np.ix_(rows.astype(int), columns.astype(int))]
        truth, told = mask == task.label + 1, answer & (mask != 255)
        total = counts.setdefault(task.label, [0, 0])
        total[0] += int((truth & told).sum())
        total[1] += int((truth | told).sum())
    assert len(counts) == 2
    assert found == pytest.approx(np.mean([both / either for both, either in counts.values()]))


def test_frozen_maps_do_not_depend_on_mixed_precision(root: Path) -> None:
    plain = photos(root).features([0, 3])["m"]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = photos(root).features([0, 3])["m"]
    assert torch.equal(plain, mixed)


@pytest.mark.data("VOCdevkit")
@pytest.mark.data("msrc21")
@pytest.mark.parametrize("name", ["A", "B"])
def test_a_hold_out_leaves_every_class_photos_to_draw(
    data_root: Callable[[str], Path], name: str
) -> None:
    recipe = read_recipe("mshnet", [f"options.data={name}"])
    known = SegmentationOptions.model_validate(
        {key: recipe["options"][key] for key in ("data", "never")}
    )
    root = data_root("VOCdevkit").parent
    assert data_root("msrc21").parent == root
    dataset, classes, held = segmentation_data(recipe, known, root, 0)
    drawn = Draws(dataset, classes, held, known, 0)
    assert len(drawn.pools) == len(classes) >= 8
    assert not dataset.present[np.unique(drawn.table[:, 0])][:, dataset.find(held)].any()
    assert set(held) == set(recipe["validation"])


def test_every_recipe_has_known_options() -> None:
    from handful.training.tasks.oslsm import OSLSMOptions

    published = options(OSLSMOptions, read_recipe("oslsm-paper"))
    assert (published.train, published.rate, published.momentum) == ("all", 1e-10, 0.99)
    assert options(OSLSMOptions, read_recipe("oslsm")).train == "heads"
