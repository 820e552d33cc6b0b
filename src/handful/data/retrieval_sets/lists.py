"""The lists of files that published sets come with: read as text, and checked against the disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from handful.errors import InputError

Part: TypeAlias = Literal["train", "test"]
"""The classes to learn from, or those to be measured on: no class is in both."""


def find_root(root: Path, marker: str, inside: str) -> Path:
    """Return the folder with the file `marker`: the one given, or the one it unpacks into.

    Raises
    ------
    InputError
        No such folder, or it has no such file.
    """
    for folder in (root, root / inside):
        if (folder / marker).exists():
            return folder
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the one that holds {marker}")
    raise InputError(f"{root / marker}: no such file; give the folder {inside} that holds it")


def read_rows(path: Path, columns: Sequence[str], head: bool = False) -> list[list[str]]:
    """Read lines of words; the last column takes the rest of its line.

    Parameters
    ----------
    path : Path
        The file.
    columns : sequence of str
        What each word of a line is, for the message.
    head : bool
        Whether the first line names the columns.

    Raises
    ------
    InputError
        The file cannot be read, or a line has too few words.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise InputError(f"{path}: {why}; unpack the data set again") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or (head and number == 1):
            continue
        words = line.split(maxsplit=len(columns) - 1)
        if len(words) < len(columns):
            wanted = " ".join(columns)
            raise InputError(f"{path}: line {number} ({line.strip()!r}) is not {wanted!r}")
        rows.append([*words[:-1], words[-1].strip()])
    if not rows:
        raise InputError(f"{path}: lists nothing; unpack the data set again")
    return rows


def whole_number(word: object, path: Path) -> int:
    """Return a word of a list as a number, or say which file is damaged."""
    try:
        number = float(str(word))  # MATLAB writes whole numbers as doubles
        if number.is_integer():
            return int(number)
    except ValueError:
        pass
    raise InputError(f"{path}: {word!r} is no whole number; unpack the data set again")


def check_there(paths: Iterable[Path], source: Path) -> None:
    """Raise InputError for the first of the listed files that is missing."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        others = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{missing[0]}: no such file, but {source.name} lists it{others};"
            " unpack the data set again"
        )
