"""Unsupervised generic hashing: a code for a task, selected from a library of hash functions.

Y.-X. Wang, L. Gui, M. Hebert, "Few-shot hash learning for image retrieval", ICCV workshops 2017.
Hyper-training (section 3.1) is `hyper_training`; here are selection and use (section 3.2).
"""

from __future__ import annotations

from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike

from handful.errors import InputError
from handful.methods.hashing.base import (
    Bits,
    Floats,
    Hasher,
    Indices,
    labelled,
    unlabelled,
    unpack,
)
from handful.methods.hashing.library import HashLibrary
from handful.methods.hashing.selection import select
from handful.methods.hashing.similarity_selection import select_similar, similarity_target

Selection = Literal["shared", "category", "similarity", "random", "all"]


class UGH(Hasher):
    """A code of a few functions of a library.

    Parameters
    ----------
    library : HashLibrary
        The functions.
    n_bits, seed : int
        See `Hasher`; ``all`` has as many bits as the library has functions.
    selection : {"shared", "category", "similarity", "random", "all"}
        ``shared``: one code for all classes of the examples. ``category``: the code of one class
        against all other examples. ``similarity``: a selection of our own, see
        `similarity_selection`. ``random``: functions drawn by chance, ``all``: every one; these
        two do not look at the examples.
    category : object, optional
        The class that ``category`` selects for; not needed where there are two, and one of them
        is True.
    prefilter : int, optional
        How many functions go into the SVM, see `selection.select`.
    background : array_like, optional
        Features (B, D) of images of any kind, some hundred: what ``similarity`` needs besides.

    Attributes
    ----------
    chosen_ : ndarray
        Numbers of the functions of the code, (n_bits,).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> weights = rng.normal(size=(40, 8)).astype(np.float32)
    >>> library = HashLibrary(weights, np.zeros(40, np.float32))
    >>> examples = rng.normal(size=(6, 8))
    >>> code = UGH(library, n_bits=4).fit(examples, [0, 0, 1, 1, 2, 2])
    >>> code.chosen_.shape, code.transform(examples).shape
    ((4,), (6, 1))
    """

    name = "ugh"
    supervised = True

    def __init__(
        self,
        library: HashLibrary,
        n_bits: int = 16,
        seed: int = 0,
        selection: Selection = "shared",
        category: object = None,
        prefilter: int | None = None,
        background: ArrayLike | None = None,
    ) -> None:
        super().__init__(len(library) if selection == "all" else n_bits, seed)
        self.library = library
        self.selection = selection
        self.category = category
        self.prefilter = prefilter
        self.background = background

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Select from examples (N, D) and the class of each, (N,).

        Raises
        ------
        InputError
            No such selection or category, no background, or fewer functions than bits.
        """
        if self.selection not in get_args(Selection):
            raise InputError(
                f"selection {self.selection!r}: is one of {', '.join(get_args(Selection))}"
            )
        if self.n_bits > len(self.library):
            raise InputError(f"{self.n_bits} bits of a library of {len(self.library)}")
        if self.selection == "all":
            self.chosen_: Indices = np.arange(len(self.library))
        elif self.selection == "random":
            rng = np.random.default_rng(self.seed)
            self.chosen_ = rng.choice(len(self.library), self.n_bits, replace=False)
        else:
            self.chosen_ = self._selected(features, labels)
        self._code = self.library.take(self.chosen_)
        return self

    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""
        return np.asarray(self._code.margins(features) > 0)

    def _selected(self, features: ArrayLike, labels: ArrayLike | None) -> Indices:
        rows, number = labelled(features, labels, self.name)
        if self.selection == "similarity":
            return self._similar(rows, number)
        positive = None
        if self.selection == "category":
            wanted = True if self.category is None else self.category
            classes = np.unique(np.asarray(labels)).tolist()
            if wanted not in classes:
                raise InputError(f"category {wanted!r}: none of the examples is of it")
            positive = classes.index(wanted)
        return select(self.library.rows(rows), number, self.n_bits, self.prefilter, positive)

    def _similar(self, rows: Floats, number: Indices) -> Indices:
        if self.background is None:
            raise InputError("selection 'similarity': give a background of other images")
        background = unlabelled(self.background)
        target, weights = similarity_target(background, rows, number)
        sample = np.vstack([background, rows])
        bits = unpack(self.library.rows(sample), len(sample))
        return select_similar(bits, target, weights, self.n_bits)
