"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it to `path` on success.

    On an exception the temporary file is removed and `path` is left as it was.

    Parameters
    ----------
    path : path-like
        The file to write. Its folder is created.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as part:
    ...     _ = part.write_text("whole")
    >>> sorted(p.name for p in folder.iterdir())
    ['a.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # the suffix stays last: writers such as matplotlib choose the format by it
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    # some writers let nobody else read: a file gets the permissions that any new one gets here
    part.touch()
    permissions = part.stat().st_mode
    part.unlink()
    try:
        yield part
        part.chmod(permissions)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 digest of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
