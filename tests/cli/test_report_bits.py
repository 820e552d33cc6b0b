from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from handful.answers import Explanation
from handful.cli import report_bits
from handful.cli.main import main
from handful.explain import Explainer
from handful.images import read
from handful.methods.hashing.features import feature_model
from handful.methods.hashing.library import HashLibrary
from handful.methods.hashing.ugh import UGH

COUNT = 5
"""Photos of each of the two kinds."""


def photo(rng: np.random.Generator, path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(colour) + rng.integers(-40, 40, (48, 64, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of grass and of brick, examples of brick, a library, and features kept."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    for n in range(COUNT):
        photo(rng, folder / f"photos/grass/{n}.png", (60, 150, 50))
        photo(rng, folder / f"photos/brick/{n}.png", (190, 80, 60))
    for n in range(3):
        photo(rng, folder / f"examples/{n}.png", (190, 80, 60))
    (folder / "photos/broken.png").write_bytes(b"no photo")
    features = encoded(sorted((folder / "photos").glob("*/*.png")))
    brick, grass = features[:COUNT].mean(0), features[COUNT:].mean(0)
    apart = (brick - grass) / np.linalg.norm(brick - grass)
    weights = np.vstack([rng.normal(size=(6, 512)) / 22, apart, rng.normal(size=(3, 512)) / 22])
    bias = -weights @ (brick + grass) / 2
    bias[9] = 7  # always 1
    library = HashLibrary(weights.astype(np.float32), bias.astype(np.float32))
    save_file(library.tensors("float32"), folder / "library.safetensors")
    return folder


def encoded(paths: list[Path]) -> np.ndarray:
    """Features in unit length, each photo on its own."""
    matcher = feature_model("handful-base", "cpu")
    rows = torch.cat([matcher.encode([read(path)]) for path in paths]).double().numpy()
    found: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def words(world: Path, out: Path, *more: str) -> list[str]:
    argv = ["report", "bits", "--photos", str(world / "photos"), "--out", str(out)]
    argv += ["--cache", str(world / "cache"), "--device", "cpu", *more]
    argv += [] if "--photos-per-end" in more else ["--photos-per-end", "2"]
    return argv + ([] if "--library" in more else ["--library", str(world / "library.safetensors")])


def written(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "bits.json").read_text())
    return found


def test_bits_asked_for_are_shown_with_their_photos(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(world, tmp_path, "--bit", "6", "9", "6", "--json")) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"figures": [str(tmp_path / "bits.png")], "bits": [6, 9]}
    assert "broken.png" in said.err
    with Image.open(tmp_path / "bits.png") as picture:
        assert picture.width > picture.height > 300
    value = written(tmp_path)
    apart, always = value["bits"]
    assert (apart["bit"], apart["ones"], always["bit"], always["ones"]) == (6, 0.5, 9, 1.0)
    assert {entry["photo"][:5] for entry in apart["ends"]["0"]} == {"grass"}
    assert {entry["photo"][:5] for entry in apart["ends"]["1"]} == {"brick"}
    library = HashLibrary.load(world / "library.safetensors")
    for bit in value["bits"]:
        for entry in (*bit["ends"]["0"], *bit["ends"]["1"]):
            (row,) = encoded([world / "photos" / entry["photo"]])
            margin = row @ library.weights[bit["bit"]] + library.bias[bit["bit"]]
            assert entry["margin"] == pytest.approx(margin, abs=2e-3)
    assert (value["photos"], value["functions"], value["backbone"]) == (10, 10, "handful-base")
    assert [name for name, _ in value["skipped"]] == ["broken.png"]
    assert "--bit 6 9" in value["command"]
    assert str(tmp_path) not in (tmp_path / "bits.json").read_text()


def test_fewer_bits_are_shown_where_all_others_are_alike(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(world, tmp_path, "--bits", "8")) == 0
    value = written(tmp_path)
    shown = [bit["bit"] for bit in value["bits"]]
    assert shown[0] == 6  # no direction lies as far from these photos
    assert 9 not in shown
    assert f"{len(shown)} bits in place of 8" in capsys.readouterr().err
    assert all(0.3 <= bit["ones"] <= 0.7 for bit in value["bits"])


def test_bits_are_selected_for_examples(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = words(world, tmp_path, "--examples", str(world / "examples"), "--bits", "3")
    assert main(argv) == 0
    value = written(tmp_path)
    examples = encoded(sorted((world / "examples").glob("*.png")))
    photos = encoded([*sorted((world / "photos").glob("*/*.png"))])
    code = UGH(HashLibrary.load(world / "library.safetensors"), 3, selection="category")
    code.fit(np.vstack([examples, photos]), [True] * 3 + [False] * 10)
    assert [bit["bit"] for bit in value["bits"]] == code.chosen_.tolist()
    assert value["examples"] == ["0.png", "1.png", "2.png"]
    for column, bit in enumerate(value["bits"]):
        ones = int(code.bits(examples)[:, column].sum())
        assert bit["examples"]["ones"] == ones
        assert bit["examples"]["end"] == int(ones > 1)
    # of many photos some are drawn, the same ones for a seed
    monkeypatch.setattr(report_bits, "OTHERS", 4)
    seen: list[np.ndarray] = []
    fit = UGH.fit

    def spy(self: UGH, features: Any, labels: Any = None) -> UGH:
        seen.append(np.asarray(features, np.float64))
        return fit(self, features, labels)

    monkeypatch.setattr(UGH, "fit", spy)
    assert main([*argv, "--seed", "5"]) == 0
    (rows,) = seen
    drawn = sorted(np.random.default_rng(5).choice(10, 4, replace=False))
    np.testing.assert_allclose(rows[3:], photos[drawn], atol=2e-3)


def test_examples_among_the_photos_are_left_out(world: Path, tmp_path: Path) -> None:
    more = ["--bit", "6", "--examples", str(world / "photos/brick")]
    assert main(words(world, tmp_path, *more)) == 0
    value = written(tmp_path)
    assert value["photos"] == COUNT
    (bit,) = value["bits"]
    assert bit["ones"] == 0
    assert (bit["examples"]["end"], bit["examples"]["ones"]) == (1, COUNT)


def test_maps_explain_the_margin_towards_each_end(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explained: dict[str, float] = {}
    explain = Explainer.explain_score

    def spy(self: Explainer, picture: Any, score: Any, of: str = "score") -> Explanation:
        found = explain(self, picture, score, of)
        explained[Path(picture).relative_to(world / "photos").as_posix()] = found.similarity[of]
        return found

    monkeypatch.setattr(Explainer, "explain_score", spy)
    more = ["--bit", "6", "--photos-per-end", "1"]
    assert main(words(world, tmp_path / "bare", *more)) == 0
    assert not explained
    assert main(words(world, tmp_path, *more, "--explain")) == 0
    (bit,) = written(tmp_path)["bits"]
    for end, sign in (("0", -1), ("1", 1)):
        (entry,) = bit["ends"][end]
        assert explained[entry["photo"]] == pytest.approx(sign * entry["margin"], abs=2e-3)
        assert explained[entry["photo"]] > 0
        assert {*entry["erased"]} == {"marked", "elsewhere"}
    bare, over = ((out / "bits.png").read_bytes() for out in (tmp_path / "bare", tmp_path))
    assert bare != over


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--bit", "10"], "bit 10: the library has bits 0 to 9"),
        (["--bit", "-1"], "bit -1: the library has bits 0 to 9"),
        (["--photos-per-end", "6"], "10 photos are too few for two ends of 6: give 12 or more"),
        (["--bit", "1", "--bits", "2"], "--bits counts bits to choose"),
        (["--bit", *map(str, range(41))], "41 bits in one figure; give 40 or fewer"),
        (["--library", "WIDE"], "do not fit a library of 600 dimensions"),
        (["--library", "handful-library", "--backbone", "x"], "give --backbone handful-base"),
        (["--examples", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(
    more: list[str],
    says: str,
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wide = HashLibrary(np.ones((3, 600), np.float32), np.zeros(3, np.float32))
    save_file(wide.tensors(), tmp_path / "wide.safetensors")
    more = [str(tmp_path / "wide.safetensors") if word == "WIDE" else word for word in more]
    assert main(words(world, tmp_path / "out", *more)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if says in line]
    assert len(lines) == 1
    assert not (tmp_path / "out").exists()
