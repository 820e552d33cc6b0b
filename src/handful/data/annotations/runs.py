"""Run lengths, COCO's form of a mask: pixels column by column, in turn not of the object and of it.

Two spellings are in use: a list of counts, and the same counts packed into text by five bits a
character, each count from the fourth on as its difference to the one two before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import InputError

_OFFSET, _BITS, _MORE, _SIGN = 48, 5, 0x20, 0x10


def encode(mask: NDArray[Any]) -> list[int]:
    """Return the run lengths of a mask (H, W), which is read down its columns.

    Examples
    --------
    >>> encode(np.array([[0, 1], [1, 1]]))
    [1, 3]
    >>> encode(np.array([[1, 0], [1, 0]]))
    [0, 2, 2]
    """
    flat = (np.asarray(mask) != 0).T.ravel()
    turns = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], turns, [flat.size]])).tolist()
    # the first run is of the background, if only of no pixel
    return [0, *counts] if flat.size and flat[0] else counts


def decode(
    counts: Sequence[int] | str, size: tuple[int, int], where: object = "a mask"
) -> NDArray[np.bool_]:
    """Return the mask of run lengths.

    Parameters
    ----------
    counts : sequence of int or str
        In either spelling.
    size : (int, int)
        Height and width.
    where : object
        What holds them, for the message.

    Returns
    -------
    ndarray
        (H, W) bool.

    Raises
    ------
    InputError
        The runs cover another number of pixels, or the text is no such counts.

    Examples
    --------
    >>> decode([1, 3], (2, 2)).astype(int).tolist()
    [[0, 1], [1, 1]]
    """
    runs = np.asarray(unpack(counts, where) if isinstance(counts, str) else counts, np.int64)
    height, width = size
    if runs.ndim != 1 or (runs < 0).any() or int(runs.sum()) != height * width:
        raise InputError(
            f"{where}: its runs cover {int(runs.sum()):,} pixels, the image has {width} x {height};"
            f" write the annotation again for this image"
        )
    flat: NDArray[np.bool_] = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def pack(counts: Sequence[int]) -> str:
    """Pack counts into text.

    Examples
    --------
    >>> pack([1, 3]), pack([100, 20, 70, 21, 70])
    ('13', 'T3d0V210')
    """
    text = []
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            part, value = value & 0x1F, value >> _BITS
            more = value != (-1 if part & _SIGN else 0)
            text.append(chr((part | _MORE if more else part) + _OFFSET))
            if not more:
                break
    return "".join(text)


def unpack(text: str, where: object = "a mask") -> list[int]:
    """Return the counts of :func:`pack`'s text.

    Raises
    ------
    InputError
        The text holds other characters, or ends within a count.

    Examples
    --------
    >>> unpack("T3d0V210")
    [100, 20, 70, 21, 70]
    """
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        part = ord(character) - _OFFSET
        if not 0 <= part < 64:
            raise InputError(f"{where}: {character!r} is no run length; write the annotation again")
        value |= (part & 0x1F) << shift
        shift += _BITS
        if part & _MORE:
            continue
        if part & _SIGN:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise InputError(f"{where}: its run lengths are cut short; write the annotation again")
    return counts
