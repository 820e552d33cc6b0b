"""One HTML page that holds everything it shows: it can be mailed, archived, opened offline.

A verb's report is a `Section`; a page is a title and the sections added to it.
"""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handful._version import __version__
from handful.files import write_text

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes
    ----------
    title : str
        Its heading.
    body : str
        HTML, already escaped: what `render` returns.
    """

    title: str
    body: str

    @property
    def anchor(self) -> str:
        """The name that the table of contents links to."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


class Page:
    """A page under construction.

    Parameters
    ----------
    title : str
        The heading of the page.
    lead : str
        A sentence below it.

    Examples
    --------
    >>> page = Page("Report", "What was found.").add(Section("Recognize", "<p>Much.</p>"))
    >>> "<h2>Recognize</h2>" in page.html()
    True
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        self.lead = lead
        self.sections: list[Section] = []

    def add(self, section: Section) -> Page:
        """Append a section and return the page."""
        self.sections.append(section)
        return self

    def html(self) -> str:
        """Return the whole page; it refers to nothing outside itself."""
        return render("page.html", page=self, version=__version__)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the page, whole or not at all."""
        write_text(path, self.html())


def render(template: str, **values: Any) -> str:
    """Fill a template of this package; every value is escaped."""
    return _environment().get_template(template).render(values)


def inline(image: NDArray[np.uint8]) -> str:
    """Return a picture (H, W, 3) or (H, W), uint8, as a ``data:`` address of a PNG.

    Examples
    --------
    >>> inline(np.zeros((2, 2), np.uint8))[:22]
    'data:image/png;base64,'
    """
    from PIL import Image

    picture = Image.fromarray(image)
    if image.ndim == 3 and (image == image[..., :1]).all():
        picture = picture.convert("L")
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("handful.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
