"""Pictures, one or many, decoded a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.data.pictures import Picture, batches, is_one, many, name
from handful.errors import InputError


def test_one_or_many() -> None:
    page = np.zeros((4, 5, 3), np.uint8)
    for one in ("a.png", Path("a.png"), page, page[..., 0], Image.fromarray(page)):
        assert is_one(one)
        assert list(many(one)) == [one] or many(one)[0] is one  # type: ignore[index]
    for several in (["a.png"], (page,), np.stack([page, page]), iter([page])):
        assert not is_one(several)
        assert many(several) is several
    assert (name("a.png"), name(Path("b.png")), name(page)) == ("a.png", "b.png", None)


def test_batches_are_consumed_as_they_are_asked_for() -> None:
    taken = 0

    def pages() -> Iterator[Picture]:
        nonlocal taken
        for value in range(7):
            taken += 1
            yield np.full((2, 2, 3), value, np.uint8)

    stream = batches(pages(), size=3)
    sizes = []
    for names, images in stream:
        sizes.append(len(images))
        assert names == [None] * len(images)
        assert taken == sum(sizes)
        assert [int(image[0, 0, 0]) for image in images] == list(range(taken))[-len(images) :]
    assert sizes == [3, 3, 1]


def test_bad_pictures_raise_or_are_collected(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("RGB", (3, 2), "red").save(good)
    bad.write_text("no picture")
    with pytest.raises(InputError, match=r"bad\.png"):
        list(batches([good, bad]))
    skipped: list[tuple[str, str]] = []
    found = list(batches([bad, bad, good, bad, good, good], skipped, size=2))
    assert [names for names, _ in found] == [[str(good)], [str(good), str(good)]]
    assert found[0][1][0].tolist() == [[[255, 0, 0]] * 3] * 2
    assert [path for path, _ in skipped] == [str(bad)] * 3
