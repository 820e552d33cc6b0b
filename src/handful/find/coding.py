"""Codes of an index: which functions make them, and the store that answers by them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from handful.errors import InputError
from handful.find.collection import Index
from handful.index.code_store import CodeStore, store_of
from handful.index.codes import gather, sliced_codes
from handful.index.hits import Ints
from handful.index.store import Snapshot
from handful.methods.hashing import LSH, HashLibrary
from handful.methods.hashing.selection import select

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


@dataclass(eq=False)
class Coding:
    """The codes of an index by a library.

    The codes of all functions are computed once and kept beside the features; the code of a
    category is read as its functions' rows.

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
    _last: tuple[tuple[int, ...], CodeStore] | None = field(default=None, init=False)

    def select(self, bits: int, positive: Tensor, others: Tensor) -> Ints:
        """Return the functions that tell examples (n, D) from others (m, D), (bits,).

        Raises
        ------
        InputError
            More bits than functions, or none.
        """
        if not 1 <= bits <= len(self.library):
            raise InputError(f"{bits} bits: the index has codes of 1 to {len(self.library)}")
        features = np.concatenate([positive.numpy(), others.numpy()])
        number = np.repeat([1, 0], [len(positive), len(others)])
        return np.asarray(select(self.library.rows(features), number, bits, positive=1))

    def encode(self, chosen: Ints, target: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the code of vectors (n, D) by some functions."""
        return self.library.take(chosen).encode(target)

    def store(self, chosen: Ints) -> CodeStore:
        """Return the codes of all pictures by some functions; the last store is kept."""
        key = tuple(chosen.tolist())
        if self._last is None or self._last[0] != key:
            slices = sliced_codes(
                self.index.folder, self.snapshot, self._key, self.library.rows, len(self.library)
            )
            codes = gather(slices, [segment.rows for segment in self.snapshot.segments], chosen)
            store = store_of(codes, len(chosen))
            gone = ~self.snapshot.alive
            gone[self.hidden] = True
            store.remove(np.flatnonzero(gone))
            self._last = key, store
        return self._last[1]

    @property
    def _key(self) -> str:
        """The name under which the codes are kept: of the functions themselves."""
        digest = hashlib.sha256(self.library.weights.tobytes())
        digest.update(self.library.bias.tobytes())
        return digest.hexdigest()[:16]
