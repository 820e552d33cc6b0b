"""`handful-bits`: a code learned from a few examples and from what is not labelled.

Ours. KSH, SDH and CCA-ITQ learn their hyperplanes from the examples alone, and bits that are
selected from a library were learned without any. Here, from examples and a sample of other images
of the collection, its background:

1. A teacher says how much an image is of each class: the examples' prototypes, moved towards what
   lies near them, then ridge regression that goes on with its own answers on the background
   (self-training). So the background should hold images of the classes, as a collection does
   that is to be searched for them.
2. A bit is a dichotomy of the classes with a threshold: the shares of some classes, less those of
   the others, are above it. Of all of these, those are chosen whose inner products follow a target
   over all pairs of the background: the greedy step of KSH (`ksh`, equation 12), then exchanges of
   one bit at a time. The thresholds off the middle give an image that is of no class for sure a
   code between theirs.
3. With few examples a part of the bits is PCA-ITQ on the background, as classes are then less
   sure than what is alike.

`HandfulVotes` computes the same bits without features: functions of a library vote for the shares
of the classes (`votes`), and only their stored bits are read.

The constants were chosen on classes of tiny-imagenet and Caltech-101 that no test uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from handful.errors import InputError
from handful.methods.hashing.base import (
    Bits,
    Floats,
    Hasher,
    Indices,
    labelled,
    unit,
    unlabelled,
    unpack,
)
from handful.methods.hashing.dichotomies import candidates, dichotomies, select_bits
from handful.methods.hashing.itq import PCAITQ
from handful.methods.hashing.library import HashLibrary
from handful.methods.hashing.votes import Votes, fit_scores, signs_of

RIDGE, ROUNDS = 1.0, 20
"""Of the teacher: the ridge, and how often it learns from its own answers."""

MOVES, MOVED = 10, 0.05
"""How often prototypes are moved at first, and what an image of the background counts then
against an example."""

FEW, MANY = 3.0, 7.0
"""With s examples of a class, so many images of the background count as much as one example:
FEW + s / MANY."""

FIRST, LEARNING, SHARPNESS = 20.0, 8.0, 4.0
"""How sharply classes are seen: from cosines to prototypes at first, from regressions while it
learns, and in the end."""

SOFT = 0.7
"""The share of the classes in the target; the rest is the cosine of features."""

ALONE = 1.0
"""Examples of a class with which bits of the classes are half of a code."""

VOTERS = 512
"""Functions that vote."""

VOTE_RIDGE = 0.3
"""The ridge of their weights."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """Says how much an image is of each class.

    Attributes
    ----------
    centre : ndarray
        The mean of the background, (D,).
    directions : ndarray
        (D, C).
    """

    centre: Floats
    directions: Floats

    def __call__(self, features: Floats) -> Floats:
        """Return shares (N, C) of features (N, D); they sum to 1."""
        return softmax(SHARPNESS * unit(features - self.centre) @ self.directions)


class HandfulBits(Hasher):
    """A code of dichotomies of the classes, and of what is alike among images of any class.

    Parameters
    ----------
    n_bits, seed : int
        See `Hasher`; with more than 10 classes, dichotomies are drawn from the seed.
    background : array_like
        Features (B, D) of other images, some thousand at best, of the collection that is to be
        searched.

    Attributes
    ----------
    teacher_ : Teacher
        What bits of the classes are made of.
    alike_ : PCAITQ or None
        The other bits, see :func:`bits_of_classes`.
    sides_, cuts_ : ndarray
        (C + m, n_bits) and (n_bits,): bit k is ``values(x) @ sides_[:, k] > cuts_[k]``, with the
        shares of C classes and m projections of `alike_` as values.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> examples, others = rng.normal(size=(6, 8)), rng.normal(size=(60, 8))
    >>> code = HandfulBits(n_bits=4, background=others).fit(examples, [0, 0, 1, 1, 2, 2])
    >>> code.sides_.shape, code.transform(examples).shape
    ((4, 4), (6, 1))
    """

    name = "handful-bits"
    supervised = True

    def __init__(
        self, n_bits: int = 16, seed: int = 0, background: ArrayLike | None = None
    ) -> None:
        super().__init__(n_bits, seed)
        self.background = background

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from examples (N, D) and the class of each, (N,).

        Raises
        ------
        InputError
            No background, one of another backbone, or a single class.
        """
        rows, number = labelled(features, labels, self.name)
        if self.background is None:
            raise InputError(f"{self.name}: give a background of other images")
        background = unlabelled(self.background)
        if background.shape[1] != rows.shape[1]:
            raise InputError(
                f"{self.name}: a background of {background.shape[1]} dimensions for examples of"
                f" {rows.shape[1]}; encode both with one backbone"
            )
        classes = int(number.max()) + 1
        ours = bits_of_classes(self.n_bits, len(number) / classes)
        self.teacher_ = teach(background, rows, number)
        self.alike_ = (
            PCAITQ(self.n_bits - ours, self.seed).fit(background) if ours < self.n_bits else None
        )
        found = self._found(background)
        self.sides_ = np.eye(found.shape[1], self.n_bits, classes - ours)
        self.cuts_ = np.zeros(self.n_bits)
        if ours:
            sides, cuts = self._dichotomies(found[:, :classes], background, ours)
            self.sides_[:, :ours] = 0
            self.sides_[:classes, :ours], self.cuts_[:ours] = sides, cuts
        return self

    def values(self, features: Floats) -> Floats:
        """Return what the bits are cut from, (N, C + m), of features (N, D)."""
        shares = self.teacher_(features)
        if self.alike_ is None:
            return shares
        return np.hstack([shares, features @ self.alike_.weights_ + self.alike_.bias_])

    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""
        return np.asarray(self.values(features) @ self.sides_ > self.cuts_)

    def _found(self, background: Floats) -> Floats:
        """Return the values of the background as bits will see them."""
        return self.values(background)

    def _dichotomies(self, found: Floats, background: Floats, n_bits: int) -> tuple[Floats, Floats]:
        """Choose dichotomies (C, n_bits) and thresholds (n_bits,)."""
        centred = unit(background - self.teacher_.centre)
        shares = self.teacher_(background)
        soft = unit(shares - shares.mean(0))
        target = np.hstack([np.sqrt(1 - SOFT) * centred, np.sqrt(SOFT) * soft])
        sides = dichotomies(found.shape[1], np.random.default_rng(self.seed))
        mixtures, cuts = candidates(found, sides, n_bits)
        signs = np.where(found @ mixtures > cuts, np.float32(1), np.float32(-1)).T
        chosen = select_bits(signs, target, n_bits)
        return mixtures[:, chosen], cuts[chosen]


class HandfulVotes(HandfulBits):
    """The same code, read from the stored bits of a library.

    Parameters
    ----------
    library : HashLibrary
        The functions.
    n_bits, seed, background
        See `HandfulBits`.
    voters : int
        How many functions vote.

    Attributes
    ----------
    votes_ : Votes
        The bits.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> weights = rng.normal(size=(40, 8)).astype(np.float32)
    >>> library = HashLibrary(weights, np.zeros(40, np.float32))
    >>> examples, others = rng.normal(size=(6, 8)), rng.normal(size=(60, 8))
    >>> code = HandfulVotes(library, 4, background=others).fit(examples, [0, 0, 1, 1, 2, 2])
    >>> code.votes_.weights.shape, code.transform(examples).shape
    ((40, 4), (6, 1))
    """

    name = "handful-votes"

    def __init__(
        self,
        library: HashLibrary,
        n_bits: int = 16,
        seed: int = 0,
        background: ArrayLike | None = None,
        voters: int = VOTERS,
    ) -> None:
        super().__init__(n_bits, seed, background)
        self.library = library
        self.voters = voters

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from examples (N, D) and the class of each, (N,); errors are those above."""
        super().fit(features, labels)
        self.votes_: Votes = self._scores.bits(self.sides_, self.cuts_)
        return self

    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""
        return unpack(self.votes_.encode(self._taken.rows(features), len(features)), self.n_bits)

    def _found(self, background: Floats) -> Floats:
        signs = signs_of(self.library, background)
        weights = np.full(len(background), 1 / len(background))
        self._scores = fit_scores(signs, self.values(background), weights, self.voters, VOTE_RIDGE)
        self._taken = self.library.take(self._scores.functions)
        return self._scores(signs)


def bits_of_classes(n_bits: int, shots: float) -> int:
    """Say how many bits of a code say which class an image is of.

    One example of a class may mislead; what is alike whatever the class, which PCA-ITQ on the
    background says, may not. With s examples of a class, the first have s / (s + `ALONE`) of the
    code and the second the rest.

    Examples
    --------
    >>> [bits_of_classes(16, shots) for shots in (1, 3, 10, 50)]
    [8, 12, 15, 16]
    """
    return round(n_bits * shots / (shots + ALONE))


def teach(background: Floats, examples: Floats, number: Indices) -> Teacher:
    """Learn how much an image is of each class.

    Parameters
    ----------
    background, examples : ndarray
        Features (B, D) and (S, D).
    number : ndarray
        The class 0..C-1 of each example, (S,).
    """
    centre = background.mean(0)
    others, known = unit(background - centre), unit(examples - centre)
    truth = np.eye(int(number.max()) + 1)[number]
    even = 1 / truth.shape[1]
    count = 1 / (FEW + len(number) * even / MANY)
    gram = known.T @ known + count * others.T @ others + RIDGE * np.eye(known.shape[1])
    solved = np.linalg.solve(gram, np.vstack([known, count * others]).T)
    prototypes = unit(truth.T @ known)
    for _ in range(MOVES):
        shares = softmax(FIRST * others @ prototypes.T)
        prototypes = unit(truth.T @ known + MOVED * shares.T @ others)
    shares = softmax(FIRST * others @ prototypes.T)
    directions = np.empty(0)
    for _ in range(ROUNDS):
        directions = solved @ (np.vstack([truth, shares]) - even)
        shares = softmax(LEARNING * others @ directions)
    return Teacher(centre, directions)


def softmax(logits: Floats) -> Floats:
    """Return shares (n, C) of logits."""
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))
