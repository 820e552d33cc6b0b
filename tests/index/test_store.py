"""Features on disk: what is committed stays, whatever else happens."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from handful.errors import InputError
from handful.index import store as store_module
from handful.index.manifest import NAME, Manifest, Stamp
from handful.index.segments import segment_path, write_segment
from handful.index.store import Store

Files = list[tuple[Stamp, bytes]]


def files(*names: str) -> Files:
    return [(Stamp(name, len(name), 7), os.fsencode(name)) for name in names]


def vector(name: str) -> np.ndarray:
    """Give every name a vector of its own."""
    return np.random.default_rng(sum(map(ord, name))).normal(size=4).astype(np.float16)


def append(store: Store, *names: str) -> None:
    with store.writing():
        store.append(files(*names), np.stack([vector(name) for name in names]))


def content(store: Store) -> dict[str, list[float]]:
    """Return the features by path, through the same door as a search."""
    snapshot = store.snapshot()
    rows = np.flatnonzero(snapshot.alive).tolist()
    table = np.concatenate([np.zeros((0, 4)), *snapshot.parts])
    paths = store.paths(snapshot, rows)
    assert len(set(paths)) == len(paths) == len(store)
    return {path: table[row].tolist() for path, row in zip(paths, rows, strict=True)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "index", {"model": "m"})


def test_what_is_appended_is_found_by_another_process_too(store: Store) -> None:
    append(store, "a", "b")
    append(store, "c")
    again = Store(store.folder)
    assert content(again) == {name: vector(name).tolist() for name in "abc"}
    assert (again.dimensions, again.manifest.about["model"]) == (4, "m")


def test_a_path_that_comes_again_replaces_its_row(store: Store) -> None:
    append(store, "a", "b")
    with store.writing():
        store.append([(Stamp("a", 9, 9), b"new")], np.ones((1, 4)))
    assert content(store)["a"] == [1, 1, 1, 1]
    assert [entry.digest for entry in store.manifest.entries()] == [b"b", b"new"]


def test_segments_are_merged_and_removed_rows_go(store: Store) -> None:
    for name in "abcdef":
        append(store, name)
    with store.writing():
        with store.manifest.change():
            store.manifest.remove([store.entries()[name].id for name in "bd"])
        before, watched = content(store), store.snapshot()
        store.merge()
    assert content(store) == before
    assert [path.name for path in store.folder.glob("features-*")] == ["features-000007.npy"]
    # who opened it before still reads what was there
    assert watched.parts[1][0].tolist() == vector("b").tolist()
    numbers = [segment.number for segment in store.manifest.segments()]
    append(store, "g")
    assert store.manifest.segments()[-1].number > max(numbers)


def test_full_segments_are_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "FULL", 3)
    append(store, *"abc")
    append(store, "d")
    append(store, "e")
    full = segment_path(store.folder, 1).stat().st_ino
    with store.writing():
        store.merge()
    assert [s.rows for s in store.manifest.segments()] == [3, 2]
    assert segment_path(store.folder, 1).stat().st_ino == full
    assert list(content(store)) == list("abcde")


def test_what_a_killed_writer_left_is_cleared_and_never_read(store: Store) -> None:
    append(store, "a")
    # killed after the file and before the transaction that names it
    write_segment(store.folder, 2, np.ones((5, 4), np.float16))
    (store.folder / ".features-000003.99.part.npy").write_bytes(b"half")
    (store.folder / "codes-lib-000002.npy").write_bytes(b"of the lost one")
    assert content(Store(store.folder)) == {"a": vector("a").tolist()}
    append(store, "b")
    assert sorted(content(store)) == ["a", "b"]
    left = {path.name for path in store.folder.iterdir() if path.suffix == ".npy"}
    assert left == {"features-000001.npy", "features-000002.npy"}


def test_a_failed_change_leaves_nothing(store: Store) -> None:
    append(store, "a")

    def change() -> None:
        with store.writing(), store.manifest.change():
            store.manifest.remove([store.entries()["a"].id])
            store.manifest.add_segment(1, 1, "a number that is taken")

    with pytest.raises(sqlite3.IntegrityError):
        change()
    assert list(content(store)) == ["a"]


def test_paths_may_pass_from_one_file_to_another(store: Store) -> None:
    append(store, "a", "b")
    ids = {path: entry.id for path, entry in store.entries().items()}
    with store.writing(), store.manifest.change():
        store.manifest.restamp([(ids["a"], Stamp("b", 1, 1)), (ids["b"], Stamp("a", 1, 1))])
    assert content(store) == {"b": vector("a").tolist(), "a": vector("b").tolist()}


def test_names_that_are_no_text_are_kept(store: Store) -> None:
    odd = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    append(store, odd)
    assert list(content(store)) == [odd]


def test_one_writer_at_a_time(store: Store) -> None:
    with store.writing():
        with pytest.raises(InputError, match="another process is writing"), store.writing():
            pass
        # whoever only searches is not kept waiting
        assert content(Store(store.folder)) == {}
    append(store, "a")


@pytest.mark.parametrize("damage", ["nothing", "no index", "cut", "other", "missing", "version"])
def test_damage_is_told_in_one_line(store: Store, damage: str) -> None:
    append(store, "a", "b")
    path = segment_path(store.folder, 1)
    folder = store.folder
    if damage == "no index":
        folder = store.folder / "elsewhere"
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "other":
        np.save(path, np.zeros((2, 5), np.float16))
    elif damage == "missing":
        path.unlink()
    elif damage == "version":
        with store.manifest.change():
            store.manifest.tell("format", "0")
    if damage == "nothing":
        assert len(content(Store(folder))) == 2
        return
    with pytest.raises(InputError) as told:
        content(Store(folder))
    assert "\n" not in str(told.value)
    assert "index" in str(told.value)


def test_a_changed_byte_is_noticed_before_it_is_written_on(store: Store) -> None:
    append(store, "a")
    append(store, "b")
    path = segment_path(store.folder, 1)
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match="changed since"), store.writing():
        store.merge()


def test_a_manifest_that_is_none_is_told_in_one_line(store: Store) -> None:
    (store.folder / NAME).write_bytes(b"something else, longer than the header of a database" * 99)
    for open_ in (Store, Manifest.exists):
        with pytest.raises(InputError, match=r"manifest\.sqlite: .*build it again") as told:
            open_(store.folder)
        assert "\n" not in str(told.value)


def test_it_is_read_from_another_thread(store: Store) -> None:
    append(store, "a", "b")
    with ThreadPoolExecutor(1) as pool:
        assert sorted(pool.submit(content, store).result()) == ["a", "b"]


def test_a_manifest_that_was_only_begun_is_no_index(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / NAME).execute("PRAGMA journal_mode = WAL").close()
    assert not Manifest.exists(tmp_path)
    with pytest.raises(InputError, match="damaged or no manifest"):
        Manifest(tmp_path)
    assert len(Store.create(tmp_path, {})) == 0


def test_features_must_fit(store: Store) -> None:
    append(store, "a")
    with pytest.raises(ValueError, match="features"), store.writing():
        store.append(files("b"), np.ones((1, 3)))
    with pytest.raises(ValueError, match="features"), store.writing():
        store.append(files("b"), np.ones((2, 4)))
