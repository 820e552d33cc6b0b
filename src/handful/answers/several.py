"""Answers to several pictures: a sequence that knows more than its members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar, overload

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Several(Sequence[Answer]):
    """Answers in order; a slice of them keeps what is said of all.

    Attributes
    ----------
    results : tuple
        The answers.

    Examples
    --------
    >>> answers = Several(("a", "b", "c"))
    >>> len(answers), answers[0], answers[1:].results
    (3, 'a', ('b', 'c'))
    """

    results: tuple[Answer, ...]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.results)

    @overload
    def __getitem__(self, index: int) -> Answer: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Answer | Self:
        if isinstance(index, slice):
            return replace(self, results=self.results[index])
        return self.results[index]
