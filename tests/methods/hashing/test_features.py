from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from handful.data.class_folders import read_class_folders
from handful.errors import InputError
from handful.images import read
from handful.methods.hashing.features import features_of, unlabelled_folder
from handful.methods.matcher import Image as Picture


class MeanColour:
    name = backbone = "mean-colour"
    batched = True

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, images: Sequence[Picture]) -> Tensor:
        self.encoded += len(images)
        return torch.stack([torch.from_numpy(i.reshape(-1, 3).mean(0)).float() for i in images])

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return query @ support.mT

    def pool(self, support: Tensor) -> Tensor:
        return support.mean(-2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, count in {"ant": 6, "bee": 4, "cat": 9}.items():
        for i in range(count):
            path = tmp_path / "zoo" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(1, 255, (4, 5, 3), np.uint8)).save(path)
    return tmp_path / "zoo"


def test_features_are_kept_and_found_again(root: Path, tmp_path: Path) -> None:
    (root / "bee/broken.png").write_bytes(b"no photo")
    matcher, folder = MeanColour(), read_class_folders(root)
    read_once, first = features_of(matcher, folder, tmp_path / "cache")
    assert (matcher.encoded, len(read_once)) == (19, 19)
    assert first.dtype == np.float16
    pixels = np.stack([read(path).reshape(-1, 3).mean(0) for path in read_once.paths])
    unit = pixels / np.linalg.norm(pixels, axis=1, keepdims=True)
    np.testing.assert_allclose(first, unit, atol=1e-3)
    again, second = features_of(matcher, folder, tmp_path / "cache")
    assert matcher.encoded == 19
    np.testing.assert_array_equal(first, second)
    assert again.paths == read_once.paths
    assert again.skipped == read_once.skipped
    assert dict(again.skipped).keys() == {"bee/broken.png"}
    # another picture under a name that is known is encoded anew
    Image.new("RGB", (9, 9), (200, 1, 1)).save(root / "ant/0.png")
    _, third = features_of(matcher, folder, tmp_path / "cache")
    assert matcher.encoded == 38
    assert third[0, 0] > 0.99
    _, plain = features_of(matcher, folder)
    np.testing.assert_array_equal(plain, third)


def test_a_damaged_cache_is_one_line(root: Path, tmp_path: Path) -> None:
    folder = read_class_folders(root)
    features_of(MeanColour(), folder, tmp_path / "cache")
    next((tmp_path / "cache").glob("*.npy")).write_bytes(b"half")
    with pytest.raises(InputError, match="damaged; remove it"):
        features_of(MeanColour(), folder, tmp_path / "cache")


def test_images_without_classes(root: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(root / "stray.png")
    folder = unlabelled_folder(root)
    assert len(folder) == 20
    assert features_of(MeanColour(), folder)[1].shape == (20, 3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images in this folder"):
        unlabelled_folder(tmp_path / "empty")


def test_a_model_without_vectors(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def maps(self: MeanColour, images: Sequence[Picture]) -> Tensor:
        return torch.zeros(len(images), 3, 2, 2)

    monkeypatch.setattr(MeanColour, "encode", maps)
    with pytest.raises(InputError, match="mean-colour: gives no vectors"):
        features_of(MeanColour(), read_class_folders(root))
