from __future__ import annotations

from pathlib import Path

import pytest

from handful.data.retrieval_sets import (
    ReidLayout,
    read_reid_set,
    read_reid_train,
)
from handful.errors import InputError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


MARKET = [
    "query/0001_c1s1_001051_00.jpg",
    "query/0002_c3s1_000076_00.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c2s1_000301_01.jpg",
    "bounding_box_test/0001_c2s1_000301_02.jpg",
    "bounding_box_test/Thumbs.db",
    "bounding_box_train/0000_c2s1_000301_01.jpg",
    "bounding_box_train/0007_c6s4_021877_01.jpg",
]
VERI = [
    "image_query/0002_c002_00030600_0.jpg",
    "image_query/0005_c011_00086370_0.jpg",
    "image_test/0002_c003_00030640_0.jpg",
    "image_test/0005_c012_00086400_1.jpg",
    "image_train/0001_c001_00016450_0.jpg",
]


def test_market_keeps_distractors_and_drops_junk(tmp_path: Path) -> None:
    touch(tmp_path, *MARKET)
    found = read_reid_set(tmp_path, "market")
    assert found.images.labels == ("0001", "0002", "0000", "0001")
    assert found.query.tolist() == [True, True, False, False]
    assert found.gallery.tolist() == [False, False, True, True]
    assert found.camera is not None
    assert found.camera.tolist() == [1, 3, 2, 2]
    assert (len(found), found.junk) == (4, 1)
    assert found.images.names[0] == MARKET[0]
    train = read_reid_train(tmp_path, "market")
    assert train.labels == ("0007",)


def test_cuhk03_asks_which_boxes(tmp_path: Path) -> None:
    names = ["query/0003_c1_21.png", "bounding_box_test/0003_c2_26.png"]
    for version in ("labeled", "detected"):
        touch(tmp_path / version, *names)
    with pytest.raises(InputError, match=r"give .*labeled or .*detected"):
        read_reid_set(tmp_path, "cuhk03")
    found = read_reid_set(tmp_path / "labeled", "cuhk03")
    assert found.images.labels == ("0003", "0003")
    assert found.camera is not None
    assert found.camera.tolist() == [1, 2]


@pytest.mark.parametrize("listed", [True, False])
def test_veri_is_read_by_its_lists_where_it_has_them(tmp_path: Path, listed: bool) -> None:
    touch(tmp_path, *VERI)
    if listed:
        (tmp_path / "name_query.txt").write_text("0005_c011_00086370_0.jpg\r\n")
        names = ["0005_c012_00086400_1.jpg", "0002_c003_00030640_0.jpg"]
        (tmp_path / "name_test.txt").write_text("\n".join(names))
    found = read_reid_set(tmp_path, "veri")
    kept = ("0005", "0005", "0002") if listed else ("0002", "0005", "0002", "0005")
    assert found.images.labels == kept
    assert found.camera is not None
    assert found.camera.tolist() == ([11, 12, 3] if listed else [2, 11, 3, 12])
    assert read_reid_train(tmp_path, "veri").labels == ("0001",)


def test_in_folders_everyone_queries_all_others(tmp_path: Path) -> None:
    touch(tmp_path, "anna/1.jpg", "anna/2.jpg", "bela/1.jpg")
    found = read_reid_set(tmp_path)
    assert found.images.labels == ("anna", "anna", "bela")
    assert found.query.all()
    assert found.gallery.all()
    assert found.camera is None
    assert read_reid_train(tmp_path, "folders").labels == found.images.labels


def test_groups_of_a_manifest_are_cameras(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    (tmp_path / "list.csv").write_text(
        "path,label,group\n1.jpg,anna,north\n2.jpg,anna,south\n3.jpg,bela,north\n"
    )
    camera = read_reid_set(tmp_path / "list.csv").camera
    assert camera is not None
    assert camera.tolist() == [0, 1, 0]


def test_some_of_a_set(tmp_path: Path) -> None:
    touch(tmp_path, *MARKET)
    some = read_reid_set(tmp_path, "market").take([1, 3], [("query/x.jpg", "damaged")])
    assert some.images.labels == ("0002", "0001")
    assert (some.query.tolist(), some.gallery.tolist()) == ([True, False], [False, True])
    assert some.camera is not None
    assert some.camera.tolist() == [3, 2]
    assert (some.junk, some.images.skipped) == (1, (("query/x.jpg", "damaged"),))


@pytest.mark.parametrize(
    ("layout", "names", "text", "why"),
    [
        ("market", MARKET[2:], None, "query: no such folder"),
        ("market", MARKET[:2], None, "bounding_box_test: no such folder"),
        ("market", ["query/Thumbs.db", *MARKET[2:]], None, "query: no images"),
        ("market", ["query/photo.jpg", *MARKET[2:]], None, "photo.jpg: its name is not IDENT"),
        ("cuhk03", ["bounding_box_test/0003_c2_26.png"], None, "query: no such folder"),
        ("veri", MARKET, None, "image_query: no such folder"),
        ("veri", VERI, "0009_c001_1_0.jpg\n", "0009_c001_1_0.jpg: no such file"),
        ("folders", ["photo.jpg"], None, "no sub-folders"),
    ],
)
def test_one_line_names_what_is_missing(
    tmp_path: Path, layout: ReidLayout, names: list[str], text: str | None, why: str
) -> None:
    touch(tmp_path, *names)
    if text is not None:
        (tmp_path / "name_test.txt").write_text(text)
    with pytest.raises(InputError, match=why) as error:
        read_reid_set(tmp_path, layout)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("layout", ["market", "cuhk03", "veri", "folders"])
def test_no_folder_is_one_line(tmp_path: Path, layout: ReidLayout) -> None:
    with pytest.raises(InputError, match="nowhere: no such"):
        read_reid_set(tmp_path / "nowhere", layout)
