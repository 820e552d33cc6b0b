"""Pictures, one or many, decoded a batch at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.data import pictures
from handful.data.pictures import (
    Cutout,
    Picture,
    bare_reason,
    batches,
    cores,
    decode_ahead,
    is_one,
    many,
    name,
)
from handful.errors import InputError
from handful.images import cut_object
from handful.images.cutting import read_objects


def test_one_or_many() -> None:
    page = np.zeros((4, 5, 3), np.uint8)
    for one in ("a.png", Path("a.png"), page, page[..., 0], Image.fromarray(page)):
        assert is_one(one)
        assert list(many(one)) == [one] or many(one)[0] is one  # type: ignore[index]
    for several in (["a.png"], (page,), np.stack([page, page]), iter([page])):
        assert not is_one(several)
        assert many(several) is several
    assert (name("a.png"), name(Path("b.png")), name(page)) == ("a.png", "b.png", None)
    part = Cutout(Path("c.png"), (0, 0, 1, 1))
    assert is_one(part)
    assert name(part) == "c.png"


def test_batches_are_consumed_a_bounded_number_ahead() -> None:
    taken = 0

    def pages() -> Iterator[Picture]:
        nonlocal taken
        for value in range(100):
            taken += 1
            yield np.full((2, 2, 3), value, np.uint8)

    ahead = max(3, 2 * cores()) + 1
    seen: list[int] = []
    for names, images in batches(pages(), size=3):
        assert names == [None] * len(images)
        assert len(images) == (3 if len(seen) < 99 else 1)
        seen += [int(image[0, 0, 0]) for image in images]
        assert taken <= len(seen) + ahead
    assert seen == list(range(100))


def test_the_next_are_decoded_while_a_batch_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{place}.png" for place in range(3)]
    for path in paths:
        Image.new("RGB", (3, 2)).save(path)
    decoded, every = [], threading.Event()

    def watched(image: Path, boxes: Any, at_least: Any) -> Any:
        found = read_objects(image, boxes, at_least)
        decoded.append(image)
        if len(decoded) == 3:
            every.set()
        return found

    monkeypatch.setattr(pictures, "read_objects", watched)
    monkeypatch.setattr(pictures, "cores", lambda: 2)
    stream = decode_ahead(paths, size=1)
    next(stream)
    assert every.wait(10)  # nobody asked for the second and third yet
    assert sorted(decoded) == paths
    stream.close()
    assert not any(thread.name.startswith("decode") for thread in threading.enumerate())


def test_large_pictures_make_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "BATCH_BYTES", 3 * 12)
    pages = [np.zeros((2, 2, 3), np.uint8)] * 7 + [np.zeros((9, 9, 3), np.uint8)] * 2
    assert [len(images) for _, images in batches(pages)] == [3, 3, 1, 1, 1]


def test_objects_of_one_file_are_cut_from_one_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = np.arange(30 * 40 * 3, dtype=np.uint32).reshape(30, 40, 3).astype(np.uint8)
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        Image.fromarray(page).save(path)
    decoded = []

    def counted(image: Path, boxes: Any, at_least: Any) -> Any:
        decoded.append((image, len(boxes)))
        return read_objects(image, boxes, at_least)

    monkeypatch.setattr(pictures, "read_objects", counted)
    parts: list[Picture] = [Cutout(paths[0], (x, 0, 10, 20)) for x in (0, 10, 20)]
    parts += [Cutout(paths[1], (90, 0, 10, 20)), Cutout(paths[1], (5, 5, 20, 10)), paths[1]]
    skipped: list[tuple[str, str]] = []
    (batch,) = decode_ahead(parts, skipped)
    assert sorted(decoded) == [(paths[0], 3), (paths[1], 1), (paths[1], 2)]
    assert batch.places == [0, 1, 2, 4, 5]
    assert batch.pictures == [*parts[:3], *parts[4:]]
    for part, image in zip(batch.pictures, batch.images, strict=True):
        expected = cut_object(page, part.box) if isinstance(part, Cutout) else page
        np.testing.assert_array_equal(image, expected)
    ((where, why),) = skipped
    assert where == f"{paths[1]} [90, 0, 10, 20]"
    assert why.startswith(f"{paths[1]}: ")
    assert bare_reason(why, where).startswith("box (90.0, 0.0, 10.0, 20.0) lies outside")


def test_bad_pictures_raise_or_are_collected(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("RGB", (3, 2), "red").save(good)
    bad.write_text("no picture")
    with pytest.raises(InputError, match=r"bad\.png"):
        list(batches([good, bad]))
    skipped: list[tuple[str, str]] = []
    found = list(batches([bad, bad, good, bad, good, good], skipped, size=2))
    assert [names for names, _ in found] == [[str(good), str(good)], [str(good)]]
    assert found[0][1][0].tolist() == [[[255, 0, 0]] * 3] * 2
    assert [path for path, _ in skipped] == [str(bad)] * 3
