"""Photos with their trunk run: what is kept of each, what a batch and a tuple hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from handful.backbones import build
from handful.backbones.photos import preparation
from handful.backbones.tail import Tail
from handful.data.class_folders import read_class_folders
from handful.data.pictures import batches
from handful.errors import InputError
from handful.training.frozen_photos import draw_batch, draw_tuples, freeze


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


def test_photos_are_kept_as_the_network_sees_them(coats: Path) -> None:
    backbone = build("random:handful-base")
    tail = Tail(backbone)
    folder = read_class_folders(coats).take([0, 1, 5, 17])
    photos = freeze(tail, backbone, folder, (64, 96))
    prepare = preparation(backbone, (64, 96))
    images = [image for _, group in batches(folder.paths) for image in group]
    x = torch.from_numpy(np.stack([prepare(image) for image in images]))
    assert x.shape == (4, 3, 64, 96)
    with torch.no_grad():
        for side, pixels in enumerate((x, x.flip(-1))):
            expected = tail.trunk(pixels)
            torch.testing.assert_close(
                photos.frozen[:, side].float(), expected, atol=2e-3, rtol=2e-3
            )
    assert photos.index.tolist() == [0, 0, 1, 2]
    assert photos.ways == 3
    # pixels are kept as bytes: half a step of 255 either way, times two for this network's spread
    rows = torch.tensor([[3, 0], [1, 2]])
    mirrored = torch.tensor([[0, 1], [1, 0]])
    found = photos.images(rows, mirrored)
    for place in np.ndindex(2, 2):
        own = x[rows[place]]
        expected = own.flip(-1) if mirrored[place] else own
        assert float((found[place] - expected).abs().max()) < 1.01 / 255
    some = photos.take([3, 2])
    assert some.index.tolist() == [1, 0]
    assert some.source.names == (folder.names[3], folder.names[2])


def test_no_photo_that_can_be_read_is_one_line(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(b"no picture")
    backbone = build("random:handful-base")
    with pytest.raises(InputError, match=r"none of its images can be read|0\.png"):
        freeze(Tail(backbone), backbone, read_class_folders(tmp_path), 64)
