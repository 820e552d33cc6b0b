"""Long work shown as it goes: a bar on stderr where a person looks, gone when it is done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def track(items: Iterable[Item], title: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items while a bar on stderr counts them.

    Parameters
    ----------
    items : iterable
        What the work goes through.
    title : str
        What the work is, in a word or two.
    total : int, optional
        How many items there are, where `items` cannot tell.

    Examples
    --------
    >>> list(track("abc", "spelling"))
    ['a', 'b', 'c']
    """
    from rich.console import Console
    from rich.progress import track as bar

    console = Console(stderr=True)
    quiet = not console.is_terminal
    yield from bar(items, title, total=total, console=console, transient=True, disable=quiet)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], title: str) -> list[Result]:
    """Do `work` on every item in a few threads, in order, with a bar on stderr.

    For work that leaves Python's lock, such as decoding; the first exception ends it.

    Examples
    --------
    >>> in_threads(len, ["a", "bb"], "measuring")
    [1, 2]
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(track(pool.map(work, items, chunksize=64), title, len(items)))
