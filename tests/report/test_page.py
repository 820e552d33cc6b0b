"""A page holds everything it shows, and nothing that was meant as text becomes markup."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.report.page import Page, Section, inline, render


class Reader(HTMLParser):
    """Collects tags that are still open, outside addresses and text."""

    VOID = frozenset({"meta", "link", "img", "br", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_is_whole_and_points_to_nothing_outside(tmp_path: Path) -> None:
    page = Page("Title", "Lead").add(Section("One", "<p>a</p>")).add(Section("Two b", "<p>c</p>"))
    page.write(tmp_path / "new" / "page.html")
    html = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    reader = Reader(html)
    assert reader.open == []
    assert reader.tags.count("h2") == 2
    assert reader.addresses == ["data:,", "#one", "#two-b"]
    assert "script" not in reader.tags
    assert "url(" not in html
    assert "@import" not in html
    for part in ("width=device-width", "prefers-color-scheme: dark", 'id="two-b"'):
        assert part in html


def test_text_is_never_markup() -> None:
    html = Page("<b>&", "a < b").add(Section("<i>x</i>", "")).html()
    reader = Reader(html)
    assert "b" not in reader.tags
    assert "i" not in reader.tags
    assert "<b>&" in reader.text


def test_a_forgotten_value_is_an_error() -> None:
    with pytest.raises(Exception, match="undefined"):
        render("page.html", page=Page("x"))


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3)])
def test_an_inline_picture_is_the_picture(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    head, data = inline(image).split(",")
    assert head == "data:image/png;base64"
    found = np.array(Image.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(found, image)


def test_grey_pictures_are_stored_as_grey() -> None:
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (60, 60, 1), np.uint8), 3, axis=2)
    stored = Image.open(io.BytesIO(base64.b64decode(inline(grey).split(",")[1])))
    assert stored.mode == "L"
    np.testing.assert_array_equal(np.array(stored.convert("RGB")), grey)
