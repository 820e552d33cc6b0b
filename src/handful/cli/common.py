"""What the commands share: options, the pictures a person names, and printing an answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from handful.data.manifest import is_manifest, read_manifest
from handful.data.pictures import Picture
from handful.errors import InputError
from handful.images import list_images

Json = Annotated[
    bool,
    Parameter(
        name="--json", negative=(), help="Print one JSON object on stdout, and nothing else."
    ),
]
Device = Annotated[str, Parameter(help="auto, cpu, cuda, ...")]
Model = Annotated[
    str,
    Parameter(help="A model of `handful models`, or a directory of your own; auto chooses."),
]

Size = Annotated[
    int | None,
    Parameter(validator=Number(gte=1), help="The side to which photos are brought, in pixels."),
]
BackboneWeights = Annotated[
    Path | None,
    Parameter(help="A weights file of the network that METHOD:BACKBONE names."),
]


def emit(value: Any, as_json: bool, text: str) -> None:
    """Print an answer on stdout: as one JSON object, or as text for people.

    ASCII only in JSON, so that odd file names cannot break it on any terminal.
    """
    print(json.dumps(value, indent=2, allow_nan=False) if as_json else text)


def note(line: str) -> None:
    """Say something beside the answer, on stderr."""
    print(f"handful: {line}", file=sys.stderr)


def gather(paths: Iterable[Path]) -> list[Path]:
    """Resolve what was named on the command line: files as given, folders to their images.

    Raises
    ------
    InputError
        A folder without images.
    """
    found: list[Path] = []
    for path in paths:
        inside = list_images(path, recursive=True) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path}: no images in this folder; give one that holds some")
        found += inside
    return found


def gather_pictures(paths: Iterable[Path]) -> tuple[list[Picture], list[tuple[str, str]]]:
    """Resolve what was named: files, folders of images, and manifests with their boxes.

    Returns
    -------
    pictures : list of Picture
        In the order named.
    skipped : list of (path, why)
        What the manifests list but cannot give.

    Raises
    ------
    InputError
        A folder without images, or a manifest that cannot be read.
    """
    found: list[Picture] = []
    skipped: list[tuple[str, str]] = []
    for path in paths:
        if is_manifest(path):
            manifest = read_manifest(path)
            found += manifest.pictures
            skipped += manifest.skipped
        else:
            found += gather([path])
    return found, skipped


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Align rows of text in columns.

    Examples
    --------
    >>> print(columns([["a", "1"], ["long", "2"]]))
    a     1
    long  2
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)
