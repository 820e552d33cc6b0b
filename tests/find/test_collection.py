"""An index follows its folder, and says in one line what stands in its way."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from handful.backbones import NetworkEmbedder
from handful.errors import InputError
from handful.find import Index
from handful.find import collection as collection_module
from handful.find.collection import HIDDEN
from handful.index.manifest import Stamp
from handful.index.store import Store
from handful.methods.prototypes import Prototypes

from .conftest import Draw, Means


@pytest.fixture
def folder(tmp_path: Path, draw: Draw) -> Path:
    for number in range(6):
        draw(tmp_path / "photos" / f"{number}.png", number)
    draw(tmp_path / "photos" / "sub" / "6.png", 6)
    return tmp_path / "photos"


def content(index: Index) -> dict[str, np.ndarray]:
    """Return the features by path, relative to the folder."""
    snapshot = index.snapshot()
    rows = np.flatnonzero(snapshot.alive).tolist()
    table = np.concatenate([np.asarray(part, np.float32) for part in snapshot.parts])
    paths = index.paths(snapshot, rows)
    return {
        os.path.relpath(path, index.root): table[row] for path, row in zip(paths, rows, strict=True)
    }


def agrees(index: Index) -> bool:
    """Say whether the index holds just the pictures of the folder, with their features."""
    found = content(index)
    files = {str(p.relative_to(index.root)): p for p in index.root.rglob("*.png")}
    assert found.keys() == files.keys()
    for name, path in files.items():
        vector = Means.one(np.asarray(Image.open(path)))
        np.testing.assert_allclose(found[name], vector / np.linalg.norm(vector), atol=1e-3)
    return True


def counts(index: Index) -> tuple[int, int, int, int, int]:
    found = index.sync()
    return found.added, found.changed, found.moved, found.removed, len(found.skipped)


def test_build_open_and_nothing_to_do(folder: Path, means: Prototypes, tmp_path: Path) -> None:
    index = Index.build(folder, tmp_path / "index", means)
    assert (index.synced_.added, index.synced_.images, len(index)) == (7, 7, 7)
    assert agrees(index)
    assert agrees(Index.open(tmp_path / "index", means))
    assert counts(index) == (0, 0, 0, 0, 0)
    assert index.images[0] == str(folder / "0.png")


def test_by_default_it_lies_hidden_in_the_folder(folder: Path, means: Prototypes) -> None:
    Index.build(folder, model=means)
    assert (folder / HIDDEN).is_dir()
    assert len(Index.open(folder, means)) == 7
    assert agrees(Index.build(folder, model=means))


def test_new_changed_moved_and_removed(folder: Path, means: Prototypes, draw: Draw) -> None:
    index = Index.build(folder, model=means)
    draw(folder / "new.png", 20)
    draw(folder / "0.png", 21)
    (folder / "1.png").rename(folder / "sub" / "moved.png")
    (folder / "2.png").unlink()
    os.utime(folder / "3.png", (5, 5))
    assert counts(index) == (1, 1, 1, 1, 0)
    assert agrees(index)
    assert counts(index) == (0, 0, 0, 0, 0)


def test_nothing_that_is_known_is_encoded_again(
    folder: Path, means: Prototypes, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.build(folder, model=means)
    seen: list[int] = []
    embed = Means.embed

    def counted(self: Means, images: list[np.ndarray]) -> torch.Tensor:
        seen.append(len(images))
        return embed(self, images)

    monkeypatch.setattr(Means, "embed", counted)
    (folder / "1.png").rename(folder / "moved.png")
    os.utime(folder / "3.png", (5, 5))
    index.sync()
    assert seen == []
    draw(folder / "4.png", 40)
    index.sync()
    assert seen == [1]


def test_names_exchanged_overwritten_and_passed_on(
    folder: Path, means: Prototypes, draw: Draw
) -> None:
    index = Index.build(folder, model=means)
    # two exchange their names; one is moved over another; one leaves its name to a new one
    (folder / "0.png").rename(folder / "x")
    (folder / "1.png").rename(folder / "0.png")
    (folder / "x").rename(folder / "1.png")
    (folder / "2.png").replace(folder / "3.png")
    (folder / "4.png").rename(folder / "elsewhere.png")
    draw(folder / "4.png", 44)
    for path in folder.glob("*.png"):
        os.utime(path, (9, 9))
    found = index.sync()
    assert (found.added + found.changed, found.moved, found.removed) == (1, 4, 1)
    assert agrees(index)


def test_copies_are_pictures_of_their_own(folder: Path, means: Prototypes) -> None:
    index = Index.build(folder, model=means)
    shutil.copy(folder / "0.png", folder / "copy.png")
    assert counts(index) == (1, 0, 0, 0, 0)
    assert agrees(index)


def test_unreadable_files_are_listed_and_tried_again_when_they_change(
    folder: Path, means: Prototypes, draw: Draw
) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    index = Index.build(folder, model=means)
    assert (index.synced_.images, [path for path, _ in index.synced_.skipped]) == (
        7,
        [str(folder / "bad.jpg")],
    )
    # a picture that goes bad is forgotten; a bad one that is mended comes in
    (folder / "0.png").write_bytes(b"")
    draw(folder / "sub" / "m.png", 3).replace(folder / "bad.jpg")
    found = index.sync()
    assert [Path(path).name for path, _ in found.skipped] == ["0.png"]
    assert "empty" in found.skipped[0][1]
    assert str(folder) not in found.skipped[0][1]
    assert (found.added, found.images) == (1, 7)
    assert [Path(path).name for path, _ in index.sync().skipped] == ["0.png"]
    (folder / "0.png").unlink()
    assert index.sync().skipped == ()


def test_an_empty_folder_does_not_empty_the_index(folder: Path, means: Prototypes) -> None:
    index = Index.build(folder, folder.parent / "index", means)
    folder.rename(folder.parent / "away")
    with pytest.raises(InputError, match="no such folder"):
        index.sync()
    folder.mkdir()
    with pytest.raises(InputError, match="is its disk mounted"):
        index.sync()
    assert len(Index.open(folder.parent / "index", means)) == 7


def test_a_folder_that_was_moved_keeps_its_index(folder: Path, means: Prototypes) -> None:
    Index.build(folder, folder.parent / "index", means)
    folder.rename(folder.parent / "away")
    index = Index.build(folder.parent / "away", folder.parent / "index", means)
    assert (index.synced_.added, index.synced_.removed) == (0, 0)
    assert agrees(Index.open(folder.parent / "index", means))


def test_another_folder_model_or_place_is_refused(
    folder: Path, means: Prototypes, draw: Draw
) -> None:
    where = folder.parent / "index"
    Index.build(folder, where, means)
    draw(folder.parent / "other" / "0.png", 0)
    with pytest.raises(InputError, match="give another --out"):
        Index.build(folder.parent / "other", where, means)
    with pytest.raises(InputError, match="is of means, not handful-base"):
        Index.build(folder, where, "handful-base")
    with pytest.raises(InputError, match="holds other files"):
        Index.build(folder.parent / "other", folder, means)
    with pytest.raises(InputError, match="no index here"):
        Index.open(folder.parent / "other")
    (folder.parent / "empty").mkdir()
    with pytest.raises(InputError, match="no images"):
        Index.build(folder.parent / "empty", folder.parent / "index2", means)
    assert not (folder.parent / "index2").exists()


def test_other_weights_are_refused(folder: Path) -> None:
    def model(seed: int) -> Prototypes:
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

        def prepare(image: np.ndarray) -> np.ndarray:
            return np.asarray(image.transpose(2, 0, 1) / 255, np.float32)

        embedder = NetworkEmbedder(network, prepare, "small")
        return Prototypes(embedder, "small")

    where = folder.parent / "index"
    Index.build(folder, where, model(0))
    assert len(Index.open(where, model(0))) == 7
    with pytest.raises(InputError, match="other weights") as told:
        Index.open(where, model(1))
    assert "\n" not in str(told.value)


def test_a_model_without_a_cosine_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="does not compare by cosine"):
        Index.build(folder, folder.parent / "index", "nearest-neighbour")


def test_what_is_committed_is_there_when_the_next_picture_fails(
    folder: Path, means: Prototypes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection_module, "COMMIT_ROWS", 1)
    monkeypatch.setattr("handful.methods.encoding.BATCH", 1)
    appended = Store.append
    done: list[str] = []

    def fail_at_four(self: Store, files: list[tuple[Stamp, bytes]], features: np.ndarray) -> None:
        if len(done) == 3:
            raise KeyboardInterrupt
        appended(self, files, features)
        done.extend(stamp.path for stamp, _ in files)

    monkeypatch.setattr(Store, "append", fail_at_four)
    with pytest.raises(KeyboardInterrupt):
        Index.build(folder, model=means)
    monkeypatch.setattr(Store, "append", appended)
    assert sorted(content(Index.open(folder, means))) == sorted(done)
    index = Index.build(folder, model=means)
    assert index.synced_.added == 4
    assert agrees(index)
