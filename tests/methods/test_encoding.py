"""Pictures encoded side by side come out as one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from handful.backbones import NetworkEmbedder
from handful.errors import InputError
from handful.methods.decoding import enough_side
from handful.methods.encoding import encode_pictures
from handful.methods.prototypes import Prototypes


class Watched(nn.Module):
    """A small network that remembers how many threads ran it, and on how many threads each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(800, 5))
        self.runs: list[tuple[str, int]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs.append((threading.current_thread().name, torch.get_num_threads()))
        return self.body(x)


@pytest.fixture
def threads() -> Iterator[int]:
    """Three threads for torch, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{place}.png" for place in range(50)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(path)
    return paths


def matcher(batch: int = 4) -> tuple[Prototypes, Watched]:
    network = Watched()

    def prepare(image: np.ndarray) -> np.ndarray:
        return image.transpose(2, 0, 1).astype(np.float32) / 255

    return Prototypes(NetworkEmbedder(network, prepare, "watched", "cpu", batch), "m"), network


def test_features_come_in_order_from_several_threads(paths: list[Path], threads: int) -> None:
    method, network = matcher()
    expected = torch.cat(
        [
            method.encode([np.asarray(Image.open(path)) for path in paths[start : start + 4]])
            for start in range(0, 50, 4)
        ]
    )
    network.runs.clear()
    parts = list(encode_pictures(method, paths))
    assert [len(batch.images) for batch, _ in parts] == [4] * 12 + [2]
    assert [picture for batch, _ in parts for picture in batch.pictures] == paths
    torch.testing.assert_close(torch.cat([part for _, part in parts]), expected)
    assert {number for _, number in network.runs} == {1}
    assert all(name.startswith("encode") for name, _ in network.runs)
    assert torch.get_num_threads() == threads


def test_one_thread_is_enough_where_there_is_one(paths: list[Path], threads: int) -> None:
    torch.set_num_threads(1)
    method, network = matcher()
    assert sum(len(part) for _, part in encode_pictures(method, paths)) == 50
    assert {name for name, _ in network.runs} == {threading.current_thread().name}


def test_bad_pictures_and_an_early_end(paths: list[Path], threads: int) -> None:
    method, _ = matcher()
    paths[7].write_text("no picture")
    skipped: list[tuple[str, str]] = []
    places = [p for batch, _ in encode_pictures(method, paths, skipped) for p in batch.places]
    assert places == [place for place in range(50) if place != 7]
    assert [path for path, _ in skipped] == [str(paths[7])]
    with pytest.raises(InputError, match=r"7\.png"):
        list(encode_pictures(method, paths))
    stream = encode_pictures(method, paths[8:])
    next(stream)
    stream.close()
    assert torch.get_num_threads() == threads
    assert not [t for t in threading.enumerate() if t.name.startswith(("encode", "decode"))]


def test_a_network_says_how_coarse_a_photo_may_be() -> None:
    method, _ = matcher()
    assert enough_side(method) is None
    method.embedder.side = 96  # type: ignore[attr-defined]
    assert enough_side(method) == 192
