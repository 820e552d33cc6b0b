"""Lists of classes: which number in a mask is which name."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from handful.errors import InputError

BACKGROUND = frozenset({"background", "_background_", "void"})
"""Names of no class, in lower case."""

_IGNORED = "__ignore__"  # LabelMe writes it first, for the value -1


def read_classes(path: str | os.PathLike[str]) -> dict[str, int]:
    r"""Read the names and numbers of classes from a text file.

    Parameters
    ----------
    path : path-like
        Lines ``NUMBER NAME``; or names alone, which count from 1, or from 0 where the first is
        ``background``, ``_background_`` or ``void``. Empty lines and ``#`` comments are passed
        over.

    Returns
    -------
    dict
        Name -> number, in the file's order; without background and void.

    Raises
    ------
    InputError
        The file cannot be read, names no class, or gives a name or a number twice.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "classes.txt"
    >>> _ = path.write_text("0 void\n1 building\n13 traffic sign\n")
    >>> read_classes(path)
    {'building': 1, 'traffic sign': 13}
    >>> _ = path.write_text("cell\nnucleus\n")
    >>> read_classes(path)
    {'cell': 1, 'nucleus': 2}
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise InputError(f"{path}: {why}; give lines 'NUMBER NAME'") from error
    lines = [unicodedata.normalize("NFC", line.strip()) for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#") and line != _IGNORED]
    numbered = [re.fullmatch(r"(\d+)[\s:,]+(.*\S)", line) for line in lines]
    if all(numbered):
        pairs = [(match[2], int(match[1])) for match in numbered if match]
    else:
        first = 0 if lines[0].lower() in BACKGROUND else 1
        pairs = [(name, number) for number, name in enumerate(lines, first)]
    classes = {name: number for name, number in pairs if name.lower() not in BACKGROUND}
    if not classes:
        raise InputError(f"{path}: names no class; give lines 'NUMBER NAME'")
    if len({name for name, _ in pairs}) < len(pairs) or len({n for _, n in pairs}) < len(pairs):
        raise InputError(f"{path}: a name or a number stands twice; give each class one line")
    return classes


def numbered(names: Sequence[str]) -> dict[str, int]:
    """Give numbers to classes named without a file: 1, 2, ..., or the numeral itself.

    Examples
    --------
    >>> numbered(["cell", "nucleus"]), numbered(["3", "5"])
    ({'cell': 1, 'nucleus': 2}, {'3': 3, '5': 5})
    """
    if all(name.isdecimal() for name in names):
        return {name: int(name) for name in names}
    return {name: number for number, name in enumerate(names, 1)}


def folded(name: str) -> str:
    """Return a name without what people spell differently: case, spaces, hyphens, slashes.

    Examples
    --------
    >>> folded("TV/monitor"), folded("potted-plant")
    ('tvmonitor', 'pottedplant')
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", name).casefold())


def resolve(
    asked: Iterable[str], labels: Sequence[str], where: object, numbers: Mapping[str, int]
) -> list[str]:
    """Find the classes that a person named, by name or by number.

    Parameters
    ----------
    asked : iterable of str
        Names, spelt as people do, or numbers.
    labels : sequence of str
        The names that there are.
    where : object
        What holds them, for the message.
    numbers : mapping of str to int
        The number of each label, where it has one.

    Raises
    ------
    InputError
        No such class; the message lists those there are.

    Examples
    --------
    >>> resolve(["Potted Plant", "15"], ["pottedplant", "person"], "VOC", {"person": 15})
    ['pottedplant', 'person']
    """
    by_name = {folded(label): label for label in labels}
    by_number = {str(number): label for label, number in numbers.items()}
    found = []
    for name in asked:
        label = by_name.get(folded(name)) or by_number.get(name.strip())
        if label is None:
            known = ", ".join(labels[:24]) + (", ..." if len(labels) > 24 else "")
            raise InputError(f"{where}: no class {name!r}; it has {known}")
        if label not in found:
            found.append(label)
    return found
