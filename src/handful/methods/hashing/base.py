"""What every hashing method offers: fit on features, transform features to packed codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.errors import InputError

Floats: TypeAlias = NDArray[np.float64]
Bits: TypeAlias = NDArray[np.bool_]
Codes: TypeAlias = NDArray[np.uint8]
Indices: TypeAlias = NDArray[np.int64]

# rows that are projected at once: some 30 MB at 512 features
_CHUNK = 8192


def pack(bits: ArrayLike) -> Codes:
    """Pack bits (N, n_bits) into bytes (N, ceil(n_bits / 8)).

    Bit b lies in byte b // 8 at the value 2 ** (b % 8); what is left of the last byte is 0.

    Examples
    --------
    >>> pack([[True, False, True]]).tolist()
    [[5]]
    """
    return np.packbits(np.asarray(bits, bool), axis=1, bitorder="little")


def unpack(codes: Codes, n_bits: int) -> Bits:
    """Unpack bytes (N, B) into the first `n_bits` bits (N, n_bits).

    Examples
    --------
    >>> unpack(np.array([[5]], np.uint8), 3).tolist()
    [[True, False, True]]
    """
    return np.unpackbits(codes, axis=1, count=n_bits, bitorder="little").astype(bool)


class Hasher(ABC):
    """A method that turns feature vectors into short binary codes.

    Parameters
    ----------
    n_bits : int
        The length of a code, at least 1.
    seed : int
        What chance is drawn from.

    Attributes
    ----------
    name : str
        The name under which results quote it.
    supervised : bool
        Whether `fit` needs labels.
    random_bits_ : int
        How many of the bits are random directions, because the method has fewer of its own on
        the features that it was given.
    """

    name: ClassVar[str]
    supervised: ClassVar[bool] = False

    def __init__(self, n_bits: int = 16, seed: int = 0) -> None:
        self.n_bits = n_bits
        self.seed = seed
        self.random_bits_ = 0

    @abstractmethod
    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D) and, where the method is supervised, classes (N,)."""

    @abstractmethod
    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""

    def transform(self, features: ArrayLike) -> Codes:
        """Return the codes of features (N, D), packed as by :func:`pack`.

        Raises
        ------
        ValueError
            Features that are not rows of numbers.
        """
        rows = np.asarray(features)
        if rows.ndim != 2:
            raise ValueError(f"features {rows.shape}: a row for each image is needed")
        codes = np.empty((len(rows), -(-self.n_bits // 8)), np.uint8)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            codes[part] = pack(self.bits(np.asarray(rows[part], np.float64)))
        return codes


class LinearHasher(Hasher):
    """A hasher of hyperplanes: bit k is ``features @ weights_[:, k] + bias_[k] > 0``.

    Attributes
    ----------
    weights_ : ndarray
        (D, n_bits).
    bias_ : ndarray
        (n_bits,).
    """

    weights_: Floats
    bias_: Floats

    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""
        return np.asarray(features @ self.weights_ + self.bias_ > 0)

    def _set(self, directions: Floats, centre: Floats) -> Self:
        """Take directions (D, k) through `centre`, filled up to `n_bits` with random ones."""
        self.random_bits_ = self.n_bits - directions.shape[1]
        more = self._rng(1).standard_normal((len(directions), self.random_bits_))
        self.weights_ = np.hstack([directions, more])
        self.bias_ = -centre @ self.weights_
        return self

    def _rng(self, use: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, use])


def unit(features: ArrayLike) -> Floats:
    """Return features (N, D) in unit length and double precision; a zero stays zero.

    Examples
    --------
    >>> unit([[3.0, 4.0], [0.0, 0.0]]).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    rows = np.asarray(features, np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def unlabelled(features: ArrayLike) -> Floats:
    """Return features (N, D) as float64, checked.

    Raises
    ------
    InputError
        Fewer than two rows, or values that are not finite.
    """
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise InputError(f"features {rows.shape}: hashing learns from two images or more")
    if not np.isfinite(rows).all():
        raise InputError("features hold values that are no numbers; encode the images anew")
    return rows


def labelled(features: ArrayLike, labels: ArrayLike | None, name: str) -> tuple[Floats, Indices]:
    """Return features (N, D) and the number 0..C-1 of the class of each, checked.

    Raises
    ------
    InputError
        No labels, not one for each row, or a single class.
    """
    rows = unlabelled(features)
    if labels is None:
        raise InputError(f"{name}: is supervised; give the class of each image")
    classes, number = np.unique(np.asarray(labels), return_inverse=True)
    if number.shape != (len(rows),):
        raise InputError(f"{name}: {number.size} labels for {len(rows)} images; give one for each")
    if len(classes) < 2:
        raise InputError(f"{name}: all images are of one class; give images of two or more")
    return rows, number.astype(np.int64)
