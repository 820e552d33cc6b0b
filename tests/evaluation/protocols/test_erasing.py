from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from handful.backbones.handful_base import HandfulBase
from handful.backbones.photos import photo_embedder_of, preparation
from handful.data.class_folders import ClassFolders, read_class_folders
from handful.errors import InputError
from handful.evaluation.protocols.erasing import WAYS, draw_triplets, measure
from handful.methods.baselines.nearest_neighbour import NearestNeighbour
from handful.methods.prototypes import Prototypes


def blob(rng: np.random.Generator, colour: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a noisy grey page with a coloured disc somewhere."""
    page = 128 + 10 * rng.normal(size=(64, 64, 3))
    down, across = np.ogrid[:64, :64]
    y, x = rng.integers(14, 50, 2)
    page[(down - y) ** 2 + (across - x) ** 2 < 150] = colour
    return page.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "blobs"
    rng = np.random.default_rng(0)
    for i, name in enumerate(("red", "green", "blue", "white")):
        (root / name).mkdir(parents=True)
        colour = np.eye(3)[i] * 250 if i < 3 else np.full(3, 250.0)
        for number in range(4):
            Image.fromarray(blob(rng, colour)).save(root / name / f"{number}.png")
    (root / "red" / "broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def matcher() -> Prototypes:
    return Prototypes(photo_embedder_of(HandfulBase().load(), 64), "base")


def folders(root: Path) -> tuple[ClassFolders, ClassFolders]:
    return read_class_folders(root, ["red", "green"]), read_class_folders(root, ["blue", "white"])


def test_falls_agree_with_a_photo_by_photo_twin(root: Path) -> None:
    folder, _ = folders(root)
    network = HandfulBase().load()
    result = measure(Prototypes(photo_embedder_of(network, 128), "base"), folder, None, 3, seed=1)
    prepare = preparation(network, 128)

    def unit(x: torch.Tensor) -> NDArray[Any]:
        vector = network.embed(x[None])[0].double().numpy()
        return np.asarray(vector / np.linalg.norm(vector))

    for row in result.rows:
        x, p, n = (
            torch.from_numpy(prepare(np.array(Image.open(root / row[role]))))
            for role in ("anchor", "positive", "negative")
        )
        a = network(x[None])["head"][0].double().numpy()
        projection = network.network.projection.weight.double().numpy()
        shares = np.einsum("chw,dc,d->hw", a, projection, unit(p) - unit(n)).clip(0)
        grid = Image.fromarray(shares.astype(np.float32))
        big = np.asarray(grid.resize((128, 128), Image.Resampling.BILINEAR))
        marked = np.zeros(128 * 128, bool)
        marked[np.argsort(-big.ravel(), kind="stable")[: round(0.2 * 128 * 128)]] = True
        marked = marked.reshape(128, 128) & (big > 0)
        erased = torch.where(torch.from_numpy(marked), x.mean((1, 2), keepdim=True), x)
        fall = unit(x) @ unit(p) - unit(erased) @ unit(p)
        assert row["score_fall"] == pytest.approx(fall, abs=5e-3)


def test_the_result_says_what_was_measured(root: Path, matcher: Prototypes) -> None:
    folder, others = folders(root)
    result = measure(matcher, folder, others, triplets=6)
    again = measure(matcher, folder, others, triplets=6)
    assert result.metrics == again.metrics
    assert result.metrics != measure(matcher, folder, others, triplets=6, seed=2).metrics
    printed = result.to_json()
    assert (printed["protocol"], printed["n"], printed["images"]) == ("erasing", 6, 8)
    assert [path for path, _ in printed["skipped"]] == ["red/broken.png"]
    for way in WAYS:
        found = result.metrics[way]
        falls = np.array([row[f"{way}_fall"] for row in result.rows])
        random_falls = np.array([row[f"{way}_random_fall"] for row in result.rows])
        assert found["fall"] == pytest.approx(falls.mean(), abs=1e-6)
        assert found["ratio"] == pytest.approx(falls.mean() / random_falls.mean(), rel=1e-3)
        assert found["above"] == pytest.approx((falls > random_falls).mean())
        assert found["interval"][0] <= found["ratio"] <= found["interval"][1]
    over = result.metrics["over_gradcam"]["score"]
    gap = result.metrics["score"]["fall"] - result.metrics["gradcam"]["fall"]
    assert over["fall"] == pytest.approx(gap)
    assert over["fall_interval"][0] <= gap <= over["fall_interval"][1]


def test_without_other_classes_there_is_no_gradcam(root: Path, matcher: Prototypes) -> None:
    metrics = measure(matcher, folders(root)[0], triplets=2).metrics
    assert set(metrics) == {"score", "difference", "centre"}


def test_triplets() -> None:
    labels = ["a"] * 5 + ["b"] * 30 + ["c"]
    drawn = draw_triplets(labels, 600, seed=0)
    found = np.array(labels)[drawn]
    assert (found[:, 0] == found[:, 1]).all()
    assert (found[:, 0] != found[:, 2]).all()
    assert (drawn[:, 0] != drawn[:, 1]).all()
    # classes count alike, whatever their size; one photo alone is never an anchor
    anchors, negatives = Counter(found[:, 0]), Counter(found[:, 2])
    assert set(anchors) == {"a", "b"}
    assert abs(anchors["a"] - 300) < 60
    assert abs(negatives["c"] - 300) < 60
    np.testing.assert_array_equal(drawn[:5], draw_triplets(labels, 5, seed=0))
    for wrong in (["a", "a"], ["a", "b"]):
        with pytest.raises(InputError, match="triplets need two classes"):
            draw_triplets(wrong, 1, seed=0)


def test_a_method_without_a_network_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match="no network whose last map is pooled linearly"):
        measure(NearestNeighbour(), folders(root)[0])
