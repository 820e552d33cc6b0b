"""A library of hash functions: the hyperplanes of all rounds, stacked, in one file with a card."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful import zoo
from handful.errors import InputError
from handful.methods.hashing.base import Codes, pack

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["float32", "float16", "int8"]

# codes of a chunk before packing: some 80 MB at 20,000 functions
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class HashLibrary:
    """Hash functions that know no category.

    Attributes
    ----------
    weights : ndarray
        (n, D) float32.
    bias : ndarray
        (n,) float32. Bit k of x is ``weights[k] @ x + bias[k] > 0``.

    Examples
    --------
    >>> library = HashLibrary(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    >>> library.encode([[1.0, -1.0, 1.0]]).tolist()
    [[5]]
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.bias.shape != self.weights.shape[:1]:
            raise ValueError(f"weights {self.weights.shape} and bias {self.bias.shape} do not fit")

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def dimensions(self) -> int:
        """The features that it takes, D."""
        return int(self.weights.shape[1])

    def take(self, which: ArrayLike) -> Self:
        """Return a library of some of the functions, by number, in that order."""
        rows = np.asarray(which, np.int64)
        return type(self)(self.weights[rows], self.bias[rows])

    def margins(self, features: ArrayLike) -> NDArray[np.float32]:
        """Return (N, n): how far features (N, D), brought to unit length, lie from each plane.

        Raises
        ------
        InputError
            Features of another number of dimensions: they come from another backbone.
        """
        rows = np.asarray(features, np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dimensions:
            raise InputError(
                f"features {rows.shape} do not fit a library of {self.dimensions} dimensions;"
                " encode the images with the library's backbone"
            )
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return np.asarray(rows @ self.weights.T + self.bias)

    def encode(self, features: ArrayLike) -> Codes:
        """Return the packed codes (N, ceil(n / 8)) of features (N, D)."""
        rows = np.asarray(features)
        codes = np.empty((len(rows), -(-len(self) // 8)), np.uint8)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            codes[part] = pack(self.margins(rows[part]) > 0)
        return codes

    def rows(self, features: ArrayLike) -> Codes:
        """Return the codes bit-sliced: (n, ceil(N / 8)), a row of packed images per function."""
        found = np.asarray(features)
        sliced = np.empty((len(self), -(-len(found) // 8)), np.uint8)
        for start in range(0, len(found), _CHUNK):
            margins = self.margins(found[start : start + _CHUNK])
            packed = pack(margins.T > 0)
            sliced[:, start // 8 : start // 8 + packed.shape[1]] = packed
        return sliced

    def save(
        self, directory: str | os.PathLike[str], card: zoo.Card, precision: Precision = "float16"
    ) -> zoo.Card:
        """Write ``weights.safetensors`` and ``card.json`` into a folder.

        Parameters
        ----------
        directory : path-like
            Created where missing.
        card : Card
            What the library learned from; the file's digest and size are filled in.
        precision : {"float32", "float16", "int8"}
            How weights are stored. ``int8`` scales each function by its largest weight.
        """
        return zoo.save_entry(directory, card, self.tensors(precision))

    def tensors(self, precision: Precision = "float16") -> dict[str, Tensor]:
        """Return what a file of this precision holds."""
        import torch

        if precision not in get_args(Precision):
            raise InputError(f"precision {precision!r}: is one of {', '.join(get_args(Precision))}")
        bias = torch.from_numpy(self.bias.copy())
        weights = torch.from_numpy(self.weights.copy())
        if precision == "int8":
            scale = (weights.abs().amax(1) / 127).clamp_min(1e-12)
            whole = (weights / scale[:, None]).round().to(torch.int8)
            return {"weights": whole, "scale": scale, "bias": bias}
        kept = weights.half() if precision == "float16" else weights
        return {"weights": kept, "bias": bias}

    @classmethod
    def load(cls, source: str | os.PathLike[str]) -> Self:
        """Read a library: a name of the zoo, a folder with its card, or a ``.safetensors`` file.

        Raises
        ------
        InputError
            No such library, a damaged one, or a file that holds something else.
        """
        tensors = zoo.load_weights(source)
        if not {"weights", "bias"} <= tensors.keys() or tensors["weights"].ndim != 2:
            raise InputError(f"{source}: is no library of hash functions")
        weights = tensors["weights"].float()
        if "scale" in tensors:
            weights = weights * tensors["scale"][:, None]
        return cls(weights.numpy(), tensors["bias"].float().numpy())
