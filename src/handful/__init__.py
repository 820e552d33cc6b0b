"""Work with images from a handful of labelled examples.

The public names are imported on first use, so that ``import handful`` stays instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handful._version import __version__

if TYPE_CHECKING:
    from handful.errors import HandfulError, InputError
    from handful.explain import Explainer
    from handful.find import Finder, Index
    from handful.recognize import Recognizer
    from handful.segment import Segmenter

_HOMES = {
    "Explainer": "handful.explain",
    "Finder": "handful.find",
    "HandfulError": "handful.errors",
    "Index": "handful.find",
    "InputError": "handful.errors",
    "Recognizer": "handful.recognize",
    "Segmenter": "handful.segment",
}

__all__ = [
    "Explainer",
    "Finder",
    "HandfulError",
    "Index",
    "InputError",
    "Recognizer",
    "Segmenter",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import a public name where it lives (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'handful' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
