"""Omniglot as torchvision unpacks it, decoded once into one array.

B. Lake, R. Salakhutdinov, J. Tenenbaum, "Human-level concept learning through probabilistic
program induction", Science 350, 2015. Black ink on white, 105 x 105 pixels; every character is
drawn once by each of 20 drawers. A drawer's number names a different person in each alphabet.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from handful.data.progress import in_threads
from handful.errors import InputError

Split = Literal["background", "evaluation"]
"""The 30 alphabets to learn from, or the 20 alphabets to be measured on."""

_LAYOUT = "images_{background,evaluation}/ALPHABET/characterNN/NNNN_DD.png"


@dataclass(frozen=True, eq=False)
class OmniglotSet:
    """One split of Omniglot, decoded.

    Attributes
    ----------
    images : ndarray
        (N, H, W) uint8, 255 is paper and 0 is ink; 105 x 105 as published.
    alphabet : ndarray
        The alphabet of each image, (N,) int64, an index into `alphabets`.
    character : ndarray
        The character of each image, (N,) int64, counted over all alphabets from 0.
    drawer : ndarray
        The drawer's number of each image, (N,) int64, 1 to 20 as published.
    paths : tuple of str
        The file of each image, relative to `root`, with forward slashes.
    alphabets : tuple of str
        The names of the alphabets, sorted.
    root : Path
        The folder that holds the alphabets.
    """

    images: NDArray[np.uint8]
    alphabet: NDArray[np.int64]
    character: NDArray[np.int64]
    drawer: NDArray[np.int64]
    paths: tuple[str, ...]
    alphabets: tuple[str, ...]
    root: Path

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """The image of each character by each drawer, (characters, drawers); -1 for none."""
        table = np.full((self.character.max() + 1, self.drawer.max() + 1), -1)
        table[self.character, self.drawer] = np.arange(len(self))
        return table[:, (table >= 0).any(0)]

    @cached_property
    def characters(self) -> list[NDArray[np.int64]]:
        """The characters of each alphabet, in the order of `alphabets`."""
        return [np.unique(self.character[self.alphabet == a]) for a in range(len(self.alphabets))]


def read_omniglot(root: str | os.PathLike[str], split: Split = "evaluation") -> OmniglotSet:
    """Read one split of Omniglot from the folders that torchvision unpacks.

    Parameters
    ----------
    root : path-like
        A folder with ``omniglot-py``, ``omniglot-py`` itself, or the split's own folder
        ``images_background`` or ``images_evaluation``.
    split : {"background", "evaluation"}
        Which alphabets.

    Returns
    -------
    OmniglotSet
        Every image of the split, sorted by path.

    Raises
    ------
    InputError
        The folder is not in that layout, or an image cannot be read.
    """
    folder = _split_folder(Path(root), split)
    files = [
        (alphabet.name, character.name, file.name)
        for alphabet in subfolders(folder)
        for character in subfolders(alphabet)
        for file in sorted(character.glob("*.png"))
    ]
    if not files:
        raise InputError(f"{folder}: no images as {_LAYOUT}; give the folder that holds them")
    paths = tuple("/".join(file) for file in files)
    alphabets, alphabet_of = np.unique([file[0] for file in files], return_inverse=True)
    character_of = np.unique(["/".join(file[:2]) for file in files], return_inverse=True)[1]
    drawers = [_drawer(folder, path) for path in paths]
    return OmniglotSet(
        images=decode_all(folder, paths, f"reading Omniglot {split}"),
        alphabet=alphabet_of.astype(np.int64),
        character=character_of.astype(np.int64),
        drawer=np.array(drawers),
        paths=paths,
        alphabets=tuple(str(name) for name in alphabets),
        root=folder,
    )


def _split_folder(root: Path, split: Split) -> Path:
    if split not in get_args(Split):
        raise ValueError(f"split is {split!r}, not one of {get_args(Split)}")
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder with {_LAYOUT}")
    above = (root, root / "omniglot-py")
    for parent in above:
        if (parent / f"images_{split}").is_dir():
            return parent / f"images_{split}"
    others = {f"images_{name}" for name in get_args(Split)} - {f"images_{split}"}
    if root.name in others or any((parent / o).is_dir() for parent in above for o in others):
        raise InputError(f"{root}: has no images_{split}; give the folder that holds it")
    if any(root.glob("*/character*/*.png")):
        return root
    raise InputError(f"{root}: not Omniglot's layout {_LAYOUT}; give the folder that holds it")


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder, sorted."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")


def _drawer(folder: Path, path: str) -> int:
    found = re.search(r"_(\d+)\.[^.]+$", path)
    if found is None:
        raise InputError(f"{folder / path}: the name does not end in _DRAWER.png; remove the file")
    return int(found[1])


def decode_all(root: Path, paths: Sequence[str], title: str) -> NDArray[np.uint8]:
    """Decode images of one size into one grey array (N, H, W) uint8, in threads."""
    images = in_threads(_decode, [root / path for path in paths], title)
    for path, image in zip(paths, images, strict=True):
        if image.shape != images[0].shape:
            size, first = image.shape, images[0].shape
            raise InputError(
                f"{root / path}: {size[1]}x{size[0]} pixels, not {first[1]}x{first[0]} as "
                f"{paths[0]}; give images of one size"
            )
    return np.stack(images)


def _decode(path: Path) -> NDArray[np.uint8]:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; restore the file") from error
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if image is None:
        raise InputError(f"{path}: not a readable image; unpack the data again")
    return np.asarray(image, np.uint8)
