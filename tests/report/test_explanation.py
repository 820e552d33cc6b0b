"""The pictures of an explanation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from handful.answers import AttentionMap, Evidence, Explanation
from handful.explain import Explainer
from handful.report.explanation import grey_map, overlay, section, write_pictures
from handful.report.page import Page

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
GRID = np.array([[0.0, 0.0], [0.0, 1.0]], np.float32)
MAP = AttentionMap("photo.png", "anchor", GRID, (40, 60), (0, 0, 60, 40))


def test_a_map_as_a_grey_picture() -> None:
    grey = grey_map(MAP)
    assert grey.shape == (40, 60)
    assert grey.dtype == np.uint8
    assert (grey[-1, -1], grey[0, 0]) == (255, 0)


def test_the_overlay_is_red_where_the_map_is_high() -> None:
    over = overlay(PHOTO, MAP).astype(int)
    assert over.shape == (40, 60, 3)
    hot, cold = over[30:, 45:], over[:10, :15]
    assert hot[..., 0].mean() > hot[..., 2].mean() + 60
    # where nothing is marked the picture shows through
    assert np.corrcoef(cold.ravel(), PHOTO[:10, :15].ravel())[0, 1] > 0.6


def test_all_files_are_written(tmp_path: Path) -> None:
    maps = (MAP, AttentionMap(None, "negative", GRID, (40, 60), (0, 0, 60, 40)))
    evidence = Evidence("similarity", 0.2, 0.9, 0.5, (0.8, 0.8))
    found = Explanation(maps, {"positive": [], "negative": [0.4]}, evidence, "m", "b")
    written = write_pictures(found, tmp_path / "out", [PHOTO, PHOTO], "why")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "why-0-anchor-map.png",
        "why-0-anchor-overlay.png",
        "why-1-negative-map.png",
        "why-1-negative-overlay.png",
        "why.png",
    ]
    np.testing.assert_array_equal(np.array(Image.open(written["maps"][0])), grey_map(MAP))
    with Image.open(str(written["overlay"])) as sheet:
        assert sheet.width > 600
    before = Path(str(written["overlay"])).read_bytes()
    write_pictures(found, tmp_path / "out", [PHOTO, PHOTO], "why")
    assert Path(str(written["overlay"])).read_bytes() == before


def test_a_section_shows_every_picture_and_its_map() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (40, 60, 3), np.uint8) for _ in range(3)]
    found = Explainer("handful-base", device="cpu", size=64).explain(*pictures)
    html = Page("t").add(section(found, pictures, "Why")).html()
    assert html.count("<img ") == 6
    assert "<h2>Why</h2>" in html
    assert f"like  {found.similarity['positive'][0]:.2f}" in html
