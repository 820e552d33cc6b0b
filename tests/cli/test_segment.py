from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.cli.main import main
from handful.data.annotations.coco import read_coco
from handful.data.annotations.labelme import read_labelme


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One example and two queries of different sizes: two bright discs on a dull ground."""
    root = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    for name, size in (("support", (120, 160)), ("q", (120, 160)), ("wide", (140, 220))):
        y, x = np.mgrid[: size[0], : size[1]]
        disc = np.zeros(size, bool)
        for share in (0.25, 0.75):
            disc |= (y - 60) ** 2 + (x - share * size[1]) ** 2 < 24**2
        photo = rng.normal(90, 10, (*size, 3))
        photo[disc] = (240, 200, 40)
        target = root / ("support/images/a.png" if name == "support" else f"query/{name}.png")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo.clip(0, 255).astype(np.uint8)).save(target)
        if name == "support":
            (root / "support/masks").mkdir()
            Image.fromarray(disc.astype(np.uint8) * 255).save(root / "support/masks/a.png")
    return root


def ask(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_contract_of_segment(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    value = ask(
        capsys,
        *("segment", "--support", folder / "support", "--out", tmp_path / "out"),
        *("--query", folder / "query", tmp_path / "broken.png", "--save", tmp_path / "saved"),
    )
    # flat discs are no photo of a thing: the classifier of pixels may find them by far better
    assert value["model"] in ("mshnet-light+clusters", "discriminant:handful-base")
    assert value["backbone"] == "handful-base"
    assert 0 <= value["threshold"] <= 1
    assert [pair[0] for pair in value["skipped"]] == [str(tmp_path / "broken.png")]
    names = [Path(result["image"]).name for result in value["results"]]
    assert names == ["q.png", "wide.png"]
    for result, size in zip(value["results"], ((160, 120), (220, 140)), strict=True):
        (found,) = result["classes"]
        assert set(found) == {"label", "mask", "area", "score", "present", "objects"}
        assert (found["label"], found["present"], found["objects"]) == ("object", True, 2)
        with Image.open(found["mask"]) as mask:
            assert (mask.format, mask.mode, mask.size) == ("PNG", "L", size)
            pixels = np.asarray(mask)
        assert set(np.unique(pixels)) == {0, 255}
        assert found["area"] == pytest.approx((pixels == 255).mean())
        assert Path(result["overlay"]).is_file()
    assert Path(value["sheet"]).is_file()
    again = ask(
        capsys,
        *("segment", "--model", tmp_path / "saved", "--out", tmp_path / "again"),
        *("--query", folder / "query"),
    )
    for one, other in zip(value["results"], again["results"], strict=True):
        first, second = Path(one["classes"][0]["mask"]), Path(other["classes"][0]["mask"])
        assert first.read_bytes() == second.read_bytes()


def test_formats_say_the_same_objects(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    support = ("--images", folder / "support/images", "--masks", folder / "support/masks")
    written = {}
    for form in ("labels", "coco", "labelme", "csv"):
        out = tmp_path / form
        value = ask(
            capsys,
            *("segment", *support, "--query", folder / "query/q.png"),
            *("--out", out, "--format", form, "--pixel-size", 0.5),
        )
        written[form] = [Path(path) for path in value["written"]]
        with Image.open(value["results"][0]["classes"][0]["mask"]) as file:
            mask = np.asarray(file) > 0
    with Image.open(written["labels"][0]) as tiff:
        numbers = np.asarray(tiff)
        assert tiff.format == "TIFF"
    assert numbers.dtype == np.uint16
    assert np.array_equal(numbers > 0, mask)
    assert numbers.max() == 2
    coco = read_coco(written["coco"][0])
    assert (written["coco"][0].parent / coco.images[0].path).resolve() == folder / "query/q.png"
    assert np.array_equal(coco.images[0].mask("object") > 0, mask)
    drawn = read_labelme(written["labelme"][0])
    assert np.array_equal(drawn.mask("object") > 0, mask)
    with written["csv"][0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {str(folder / "query/q.png")}
    areas = sorted(int(row["area"]) for row in rows)
    assert areas == sorted(np.bincount(numbers.ravel())[1:].tolist())
    assert float(rows[0]["area_um2"]) == int(rows[0]["area"]) * 0.25


def test_a_box_stands_for_the_mask(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    value = ask(
        capsys,
        *("segment", "--support", folder / "support/images/a.png", "--box", 10, 30, 60, 60),
        *("--query", folder / "query/q.png", "--out", tmp_path),
    )
    assert value["results"][0]["classes"][0]["present"]
    assert "GrabCut made their masks" in value["chosen"]


def test_a_manifest_of_boxes_is_a_support(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    rows = "".join(f"{folder / 'support/images/a.png'},disc,{left},30,60,60\n" for left in (10, 90))
    (tmp_path / "boxes.csv").write_text(f"path,label,x,y,width,height\n{rows}")
    value = ask(
        capsys,
        *("segment", "--support", tmp_path / "boxes.csv", "--out", tmp_path / "out"),
        *("--query", folder / "query/q.png"),
    )
    assert "GrabCut made their masks" in value["chosen"]
    (found,) = value["results"][0]["classes"]
    assert (found["label"], found["objects"]) == ("disc", 2)
    assert Path(value["sheet"]).is_file()


def test_class_folders_without_masks_do(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    for number, label in enumerate(("noise", "discs")):
        (tmp_path / "support" / label).mkdir(parents=True)
        with Image.open(folder / "support/images/a.png") as file:
            photo = np.asarray(file)
        other = np.random.default_rng(1).integers(0, 255, photo.shape).astype(np.uint8)
        path = tmp_path / "support" / label / "a.png"
        Image.fromarray(photo if number else other).save(path)
    value = ask(
        capsys,
        *("segment", "--support", tmp_path / "support", "--out", tmp_path / "out"),
        *("--query", folder / "query", "--save", tmp_path / "saved", "--reject", "none"),
    )
    assert value["model"] == "attention-mutual:handful-base"
    assert "labels alone" in value["chosen"]
    labels = [[found["label"] for found in result["classes"]] for result in value["results"]]
    assert labels == [["discs", "noise"]] * 2
    again = ask(
        capsys,
        *("segment", "--model", tmp_path / "saved", "--out", tmp_path / "again"),
        *("--query", folder / "query"),
    )
    for one, other in zip(value["results"], again["results"], strict=True):
        for first, second in zip(one["classes"], other["classes"], strict=True):
            assert first["score"] == second["score"]
            if first["mask"] is not None:
                pair = Path(first["mask"]), Path(second["mask"])
                assert pair[0].read_bytes() == pair[1].read_bytes()


@pytest.mark.parametrize(("options", "line"), [
    ((), "no examples"),
    (("--support", "nowhere"), "nowhere"),
    (("--support", "query"), "no masks"),
    (("--support", "support", "--reject", "much"), "--reject much"),
])  # fmt: skip
def test_what_is_missing_is_one_line(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, options: tuple[str, ...],
    line: str,
) -> None:  # fmt: skip
    given = [str(folder / o) if o in ("query", "support") else o for o in options]
    query = str(folder / "query/q.png")
    assert main(["segment", *given, "--query", query, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert line in error
    assert "\n" not in error


def test_classes_have_masks_of_their_own_and_an_absent_one_has_none(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    root = tmp_path / "two"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    with Image.open(folder / "support/images/a.png") as file:
        photo = np.asarray(file)
    with Image.open(folder / "support/masks/a.png") as file:
        values = (np.asarray(file) > 0).astype(np.uint8)
    values[:, 80:] *= 2
    photo = np.where((values == 2)[..., None], (30, 60, 230), photo).astype(np.uint8)
    Image.fromarray(photo).save(root / "images/a.png")
    Image.fromarray(values).save(root / "masks/a.png")
    value = ask(
        capsys,
        *("segment", "--support", root, "--classes", "egg/yolk", "berry"),
        *("--query", root / "images/a.png", folder / "query/q.png", "--out", tmp_path / "out"),
    )
    both, one = (result["classes"] for result in value["results"])
    assert [found["label"] for found in both] == ["egg/yolk", "berry"]
    assert [Path(found["mask"]).name for found in both] == ["a-egg_yolk.png", "a-berry.png"]
    for number, found in enumerate(both, 1):
        with Image.open(found["mask"]) as file:
            mask = np.asarray(file) > 0
        assert (mask & (values == number)).sum() / (mask | (values == number)).sum() > 0.7
    assert one[0]["present"]
    nothing = np.random.default_rng(0).normal(90, 10, (100, 100, 3)).clip(0, 255)
    Image.fromarray(nothing.astype(np.uint8)).save(tmp_path / "nothing.png")
    strict = ask(
        capsys,
        *("segment", "--support", root, "--query", tmp_path / "nothing.png", "--reject", 0.99),
        *("--out", tmp_path / "none", "--model", "discriminant"),
    )["results"][0]["classes"][0]
    assert (strict["mask"], strict["present"], strict["area"], strict["objects"]) == (
        None,
        False,
        0.0,
        0,
    )
