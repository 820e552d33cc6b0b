"""Characters in memory, and the draws that training batches are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.data.omniglot import read_omniglot
from handful.errors import InputError
from handful.images import ink


@dataclass(frozen=True)
class Characters:
    """Drawn characters as one uint8 array.

    Attributes
    ----------
    images : ndarray
        (C, 20, S, S) uint8: the drawings of each character, strokes 255 on 0.
    alphabet : ndarray
        (C,) integers: the alphabet of each character.
    """

    images: NDArray[np.uint8]
    alphabet: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)

    def pixels(self, character: Tensor, drawer: Tensor) -> Tensor:
        """Return the chosen drawings as ink (N, 1, S, S), float32 in [0, 1]."""
        chosen = self.images[character.numpy(), drawer.numpy()]
        return torch.from_numpy(chosen).float().div_(255).unsqueeze(1)

    @property
    def drawers(self) -> int:
        """How many people drew each character."""
        return int(self.images.shape[1])


@dataclass(frozen=True)
class Background:
    """Omniglot's background set, split by alphabet.

    Attributes
    ----------
    training, validation : Characters
        Of different alphabets.
    files, validation_files : list of str
        The files of each, relative to the folder of the alphabets.
    """

    training: Characters
    validation: Characters
    files: list[str]
    validation_files: list[str]


def load_background(
    root: Path, size: int, validation: Sequence[str], margin: float | None = None
) -> Background:
    """Read Omniglot's background set and split it by alphabet.

    Parameters
    ----------
    root : Path
        The folder of Omniglot, as for :func:`handful.data.omniglot.read_omniglot`.
    size : int
        Side in pixels; drawings are reduced by area averaging.
    validation : sequence of str
        Names of the alphabets to validate on.
    margin : float, optional
        Border around the strokes' box, see :func:`handful.images.ink`.

    Raises
    ------
    InputError
        If an alphabet of `validation` is not in the set, if it leaves nothing to train on, or if a
        character lacks a drawing.
    """
    whole = read_omniglot(root, "background")
    if unknown := sorted(set(validation) - set(whole.alphabets)):
        raise InputError(f"{root}: no alphabet {unknown[0]!r} in the background set")
    if not set(whole.alphabets) - set(validation):
        raise InputError(f"{root}: all its alphabets are for validation, none is left to train on")
    if (lacking := np.argwhere(whole.table < 0)).size:
        there = Path(whole.paths[whole.table[lacking[0][0]].max()]).parent
        raise InputError(f"{root}: {there} lacks a drawing that other characters have: get it anew")
    reduced = np.stack([_eight_bits(ink(image, size, margin)) for image in whole.images])
    alphabet = whole.alphabet[whole.table[:, 0]]
    held = np.isin(np.array(whole.alphabets)[alphabet], list(validation))
    parts = [(whole.table[rows], alphabet[rows]) for rows in (~held, held)]
    characters = [Characters(reduced[table], of) for table, of in parts]
    files = [[whole.paths[i] for i in table.flat] for table, _ in parts]
    return Background(characters[0], characters[1], files[0], files[1])


def _eight_bits(drawing: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (drawing * 255).round().astype(np.uint8)


def whole_groups(batch: int, members: int, needed: bool = True) -> None:
    """Raise ValueError if `needed` and a batch does not fall into groups of :func:`rivals`."""
    if needed and batch % (2 * members):
        raise ValueError(f"batch {batch} is no multiple of 2 x members = {2 * members}")


def rivals(
    characters: Characters, groups: int, members: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw groups of characters of one alphabet, each by two drawers: the hardest negatives.

    Parameters
    ----------
    characters : Characters
        Where to draw from.
    groups : int
        Groups; an alphabet comes as often as it has characters.
    members : int
        Characters of a group; an alphabet with fewer repeats some, by other drawers.
    generator : torch.Generator
        Where chance comes from.

    Returns
    -------
    tuple of Tensor
        Character and drawer, each (groups, 2, members): row 0 by one drawer, row 1 by another.
        No drawing comes twice while there are drawers enough.
    """
    which, drawer = [], []
    weights = torch.ones(len(characters))
    for first in torch.multinomial(weights, groups, replacement=True, generator=generator):
        alphabet = characters.alphabet[int(first)]
        pool = torch.from_numpy(np.flatnonzero(characters.alphabet == alphabet))
        order = torch.randperm(len(pool), generator=generator)
        chosen = pool[order.repeat(-(-members // len(pool)))[:members]]
        hands = torch.randperm(characters.drawers, generator=generator)
        # a character's second time is by two drawers of its own, and so on
        time = torch.arange(members) // len(pool)
        which.append(chosen.expand(2, -1))
        drawer.append(hands[torch.stack([2 * time, 2 * time + 1]) % len(hands)])
    return torch.stack(which), torch.stack(drawer)
