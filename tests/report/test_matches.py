"""The contact sheet and the section of what was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.answers import Match, Matches
from handful.report.matches import MatchSheet
from handful.report.page import Page


@pytest.fixture
def sheet(tmp_path: Path) -> MatchSheet:
    """One red example, and nine matches: the place of a colour says which is where."""
    paths = []
    for number in range(10):
        paths.append(tmp_path / f"<{number}>.png")
        pixels = np.full((40, 60, 3), (250, 0, 0) if number == 0 else (0, 20 * number, 0), np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    results = tuple(Match(str(p), 1 - 0.1 * i, 0.1 * i) for i, p in enumerate(paths[1:]))
    found = Matches(results, "exact", "m", "b", images=1234, examples=(str(paths[0]),))
    return MatchSheet(found, [paths[0]])


def test_the_sheet_shows_examples_above_and_matches_by_rank(sheet: MatchSheet) -> None:
    picture = sheet.sheet().astype(int)
    red = (picture[..., 0] > 200) & (picture[..., 1:].max(2) < 60)
    assert red.any()
    assert np.flatnonzero(red.any(1)).max() < picture.shape[0] / 3
    places = []
    for number in range(1, 10):
        exact = (picture == (0, 20 * number, 0)).all(2)
        rows, columns = np.nonzero(exact)
        # six in a row; the middle of each says where it is
        places.append((np.median(rows) // 200, np.median(columns)))
        assert exact.sum() > 1000
    assert [row for row, _ in places] == [places[0][0]] * 6 + [places[6][0]] * 3
    assert [column for _, column in places[:6]] == sorted(column for _, column in places[:6])
    assert places[6][0] > places[0][0]
    assert [column for _, column in places[6:]] == [column for _, column in places[:3]]


def test_the_page_names_every_match_and_escapes_it(sheet: MatchSheet, tmp_path: Path) -> None:
    page = Page("Found", sheet.lead).add(sheet.section("Matches"))
    text = page.html()
    assert text.count("data:image/png") == 10
    assert "&lt;3&gt;.png" in text
    assert "<3>.png" not in text
    assert "0.90" in text
    assert "9 of 1,234 pictures, from 1 example " in text


def test_what_is_gone_is_left_out_and_nothing_found_is_said(
    sheet: MatchSheet, tmp_path: Path
) -> None:
    (tmp_path / "<4>.png").unlink()
    text = sheet.section("Matches").body
    assert "&lt;4&gt;.png" not in text
    assert "5. &lt;5&gt;.png" in text
    nothing = MatchSheet(Matches((), "codes", "m", "b", bits=8), sheet.examples)
    assert "Nothing." in nothing.section("Matches").body
    nothing.draw(tmp_path / "out" / "sheet.png")
    with Image.open(tmp_path / "out" / "sheet.png") as picture:
        assert picture.format == "PNG"


def test_only_the_first_are_shown(sheet: MatchSheet) -> None:
    short = MatchSheet(sheet.matches, sheet.examples, most=2)
    assert short.section("Matches").body.count("data:image/png") == 3
    assert short.lead.startswith("the first 2 of 9 of")
