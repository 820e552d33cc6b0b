"""Codes of an index: how functions vote for them, and the store that answers by them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handful import zoo
from handful.errors import InputError
from handful.find.collection import Index
from handful.index.code_store import CodeStore, store_of
from handful.index.codes import gather, sliced_codes
from handful.index.hits import Ints
from handful.index.store import Snapshot
from handful.methods.hashing import LSH, HashLibrary, pack
from handful.methods.hashing.base import Floats
from handful.methods.hashing.handful_bits import VOTE_RIDGE, VOTERS
from handful.methods.hashing.votes import Votes, fit_levels, signs_of

BUNDLED = "handful-library"
"""The library that belongs to the features of handful-base."""

RANDOM_BITS = 512
"""Enough for a shortlist of a fiftieth to cost less than half a point of precision at 20: half as
many cost twice that."""


def random_library(dimensions: int, seed: int) -> HashLibrary:
    """Return `RANDOM_BITS` random hyperplanes.

    Examples
    --------
    >>> len(random_library(dimensions=8, seed=0))
    512
    """
    drawn = LSH(RANDOM_BITS, seed).fit(np.zeros((2, dimensions)))
    return HashLibrary(drawn.weights_.T.astype(np.float32), drawn.bias_.astype(np.float32))


def library_for(backbone: str, dimensions: int, seed: int) -> HashLibrary:
    """Return the bundled library where it belongs to the backbone, else a random one.

    Examples
    --------
    >>> len(library_for("none", dimensions=8, seed=0))
    512
    """
    if backbone in zoo.cards() and backbone == zoo.card(BUNDLED).backbone:
        return HashLibrary.load(BUNDLED)
    return random_library(dimensions, seed)


@dataclass(frozen=True, eq=False)
class Code:
    """What a category is searched by.

    Attributes
    ----------
    votes : Votes
        Its bits; the query is the code of all ones.
    levels : ndarray
        The cosine that each distance from it means, (bits + 1,).
    """

    votes: Votes
    levels: Floats

    @property
    def query(self) -> NDArray[np.uint8]:
        """The packed code (1, B) that is searched for."""
        return pack(np.ones((1, len(self.votes)), bool))


@dataclass(eq=False)
class Coding:
    """The codes of an index by a library.

    The codes of all functions are computed once and kept beside the features; the code of a
    category is voted for by the rows of its functions.

    Attributes
    ----------
    index : Index
        The collection.
    snapshot : Snapshot
        Its rows.
    library : HashLibrary
        The functions.
    hidden : ndarray
        Rows that are not found, (n,).
    """

    index: Index
    snapshot: Snapshot
    library: HashLibrary
    hidden: Ints
    _voted: tuple[Votes, CodeStore] | None = field(default=None, init=False)
    _plain: tuple[int, CodeStore] | None = field(default=None, init=False)

    def learn(self, bits: int, sample: NDArray[np.float32], target: NDArray[np.float32]) -> Code:
        """Return a code for the cosine to a vector (D,), learned on unit vectors (n, D).

        Raises
        ------
        InputError
            More bits than functions, or none.
        """
        if not 1 <= bits <= len(self.library):
            raise InputError(f"{bits} bits: the index has codes of 1 to {len(self.library)}")
        wanted = (sample @ target).astype(np.float64)
        return Code(*fit_levels(signs_of(self.library, sample), wanted, bits, VOTERS, VOTE_RIDGE))

    def voted(self, votes: Votes) -> CodeStore:
        """Return the codes of all pictures by votes; the last store is kept."""
        if self._voted is None or self._voted[0] is not votes:
            codes = [
                votes.encode(np.asarray(slices[votes.functions]), segment.rows)
                for slices, segment in zip(self._slices(), self.snapshot.segments, strict=True)
            ]
            self._voted = votes, self._store(np.concatenate(codes), len(votes))
        return self._voted[1]

    def plain(self, functions: int) -> CodeStore:
        """Return the codes of all pictures by the library's first functions; they are kept."""
        if self._plain is None or self._plain[0] != functions:
            rows = [segment.rows for segment in self.snapshot.segments]
            codes = gather(self._slices(), rows, np.arange(functions))
            self._plain = functions, self._store(codes, functions)
        return self._plain[1]

    def _slices(self) -> list[NDArray[np.uint8]]:
        return sliced_codes(
            self.index.folder, self.snapshot, self._key, self.library.rows, len(self.library)
        )

    def _store(self, codes: NDArray[np.uint8], bits: int) -> CodeStore:
        store = store_of(codes, bits)
        gone = ~self.snapshot.alive
        gone[self.hidden] = True
        store.remove(np.flatnonzero(gone))
        return store

    @property
    def _key(self) -> str:
        """The name under which the codes are kept: of the functions themselves."""
        digest = hashlib.sha256(self.library.weights.tobytes())
        digest.update(self.library.bias.tobytes())
        return digest.hexdigest()[:16]
