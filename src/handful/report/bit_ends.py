"""Which bits of a library tell photos apart, and the photos at the two ends of a bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.errors import InputError
from handful.methods.hashing.base import Indices
from handful.methods.hashing.library import HashLibrary

SHARES = (0.3, 0.7)
"""Of photos with 1: a bit outside hardly tells these photos apart."""

CORRELATION = 0.3
"""Bits that are shown together are less alike than this."""

_BLOCK, _CHUNK = 128, 4096


@dataclass(frozen=True)
class Ends:
    """A bit and the photos at its ends.

    Attributes
    ----------
    number : int
        Of the function in its library.
    ones : float
        Share of all photos with 1, in [0, 1].
    low, high : tuple of (photo, margin)
        Photos by number: those with the lowest margins and those with the highest, both from low
        to high.
    examples : tuple of float
        Margins of the examples, if there are some.
    """

    number: int
    ones: float
    low: tuple[tuple[int, float], ...]
    high: tuple[tuple[int, float], ...]
    examples: tuple[float, ...] = ()

    @property
    def example_ones(self) -> int:
        """How many examples have 1."""
        return sum(margin > 0 for margin in self.examples)

    @property
    def end(self) -> int | None:
        """The bit, 0 or 1, that most examples have; None without examples, or at a draw."""
        twice, count = 2 * self.example_ones, len(self.examples)
        return None if twice == count else int(twice > count)

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """Return what the row shows, with the names of the photos."""
        sides = {
            side: [{"photo": names[photo], "margin": round(margin, 4)} for photo, margin in found]
            for side, found in (("0", self.low), ("1", self.high))
        }
        value: dict[str, Any] = {"bit": self.number, "ones": round(self.ones, 4), "ends": sides}
        if self.examples:
            margins = [round(margin, 4) for margin in self.examples]
            value["examples"] = {"end": self.end, "ones": self.example_ones, "margins": margins}
        return value


def ends_of(
    library: HashLibrary,
    bits: Sequence[int],
    features: ArrayLike,
    count: int,
    examples: ArrayLike | None = None,
) -> list[Ends]:
    """Find the photos at the ends of some bits.

    Parameters
    ----------
    library : HashLibrary
        The functions.
    bits : sequence of int
        Their numbers, 0 to n - 1.
    features : array_like
        Of the photos, (N, D).
    count : int
        How many photos stand at each end.
    examples : array_like, optional
        Features (E, D) of examples.

    Raises
    ------
    InputError
        No such bit, fewer photos than both ends take, or features of other dimensions.

    Examples
    --------
    >>> library = HashLibrary(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    >>> (found,) = ends_of(library, [1], [[0, 1], [0.6, -0.8], [0.8, 0.6]], 1)
    >>> [photo for photo, _ in found.low], [photo for photo, _ in found.high], round(found.ones, 2)
    ([1], [0], 0.67)
    """
    outside = [bit for bit in bits if not 0 <= bit < len(library)]
    if outside:
        raise InputError(f"bit {outside[0]}: the library has bits 0 to {len(library) - 1}")
    rows = np.asarray(features)
    if len(rows) < 2 * count:
        raise InputError(
            f"{len(rows)} photos are too few for two ends of {count}: give {2 * count} or more,"
            " or fewer photos per end"
        )
    taken = library.take(bits)
    margins = taken.margins(rows)
    given = None if examples is None else taken.margins(examples)
    found = []
    for column, bit in enumerate(bits):
        values = margins[:, column]
        order = np.argsort(values, kind="stable")
        low, high = (
            tuple((int(photo), float(values[photo])) for photo in part)
            for part in (order[:count], order[-count:])
        )
        at = () if given is None else tuple(given[:, column].tolist())
        found.append(Ends(bit, float((values > 0).mean()), low, high, at))
    return found


def telling_bits(library: HashLibrary, features: ArrayLike, count: int) -> Indices:
    """Choose the bits that photos lie farthest from on average, and that differ.

    A bit is taken where the share of photos with 1 is within `SHARES`, by the mean of its absolute
    margins, unless its correlation with one taken before is `CORRELATION` or more, either way.

    Parameters
    ----------
    library : HashLibrary
        The functions.
    features : array_like
        Of the photos, (N, D).
    count : int
        How many bits.

    Returns
    -------
    ndarray
        Numbers of functions, (count,) or fewer where no others differ; at least one.

    Raises
    ------
    InputError
        No bit divides the photos so evenly.
    """
    rows = np.asarray(features)
    ones, strength = np.zeros(len(library)), np.zeros(len(library))
    for start in range(0, len(rows), _CHUNK):
        margins = library.margins(rows[start : start + _CHUNK])
        ones += (margins > 0).sum(0)
        strength += np.abs(margins).sum(0, dtype=np.float64)
    even = (ones >= SHARES[0] * len(rows)) & (ones <= SHARES[1] * len(rows))
    order = np.argsort(-strength, kind="stable")
    order = order[even[order]]
    if not len(order):
        least, most = (f"{100 * share:.0f}" for share in SHARES)
        raise InputError(
            f"no bit is 1 for {least} to {most} % of the photos: give --bit, or more photos"
        )
    chosen: list[int] = []
    signs: list[NDArray[np.float32]] = []
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        bits = np.asarray(library.take(block).margins(rows) > 0, np.float32)
        # of a bit that is neither always 0 nor always 1, so that no deviation is 0
        bits = (bits - bits.mean(0)) / bits.std(0)
        for bit, column in zip(block.tolist(), bits.T, strict=True):
            if all(abs(column @ other) < CORRELATION * len(rows) for other in signs):
                chosen.append(bit)
                signs.append(column)
            if len(chosen) == count:
                return np.array(chosen)
    return np.array(chosen)
