"""A support: the few labelled examples that a task is taught by, read and checked.

Layouts of a support folder
---------------------------
One sub-folder for each class, named as its label::

    support/cat/a.jpg  support/cat/b.png  support/dog/c.jpg

Photos and their masks, paired by name (their label is ``object``)::

    support/images/a.jpg  support/masks/a.png

Hidden files and what systems leave behind (``.DS_Store``, ``Thumbs.db``) are ignored. A file that
cannot be read is left out and listed in `Support.skipped`; what would make the answers wrong
without anybody noticing is an error.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handful.data.pictures import Picture, name
from handful.data.progress import in_threads
from handful.errors import InputError
from handful.images import is_clutter, list_images, natural_key, read, read_mask

Result = TypeVar("Result")

OBJECT = "object"
"""The label of an example whose mask says where the object is, not which."""

KEEP_BYTES = 256 * 2**20
"""Memory for decoded pictures: one above its even share is decoded again where it is needed."""


@dataclass(frozen=True)
class _Seen:
    """What one look at an image left: its size, a digest, and its pixels where they are small."""

    shape: tuple[int, ...]
    digest: bytes
    pixels: NDArray[np.uint8] | None


@dataclass(frozen=True, eq=False)
class Support:
    """Labelled examples of one task; build it by `from_folder` or `from_arrays`.

    Parameters
    ----------
    images : tuple of path, PIL image or ndarray
        The examples as they were given.
    labels : tuple of str
        The class of each.
    masks : tuple of path, PIL image or ndarray, optional
        For each example, which pixels show it.
    groups : tuple of str, optional
        For each example, what it must not be parted from: a slide, a camera, a burst.
    skipped : tuple of (path, why)
        Files that were left out.

    Examples
    --------
    >>> dark, light = np.zeros((5, 5), np.uint8), np.full((5, 5), 255, np.uint8)
    >>> support = Support.from_arrays([dark, light], ["night", "day"])
    >>> support.classes, support.by_class()
    (('day', 'night'), {'day': (1,), 'night': (0,)})
    """

    images: tuple[Picture, ...]
    labels: tuple[str, ...]
    masks: tuple[Picture, ...] | None = None
    groups: tuple[str, ...] | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    _seen: tuple[_Seen, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for what in ("labels", "masks", "groups"):
            given = getattr(self, what)
            if given is not None and len(given) != len(self.images):
                raise InputError(
                    f"{len(self.images)} images but {len(given)} {what}: give one for each image"
                )

    @classmethod
    def from_folder(
        cls, folder: str | os.PathLike[str], *, min_classes: int | None = None
    ) -> Support:
        """Read a folder in one of the layouts above.

        Parameters
        ----------
        folder : path-like
            The folder.
        min_classes : int, optional
            The fewest classes that make sense: 2 for sub-folders, 1 for masks, unless given.

        Raises
        ------
        InputError
            No images; too few classes; a class none of whose images can be read; one image
            under two labels; a mask of another size than its photo, or without one.
        """
        root = Path(folder)
        if not root.is_dir():
            what = "a file; give the folder that holds it" if root.exists() else "no such folder"
            raise InputError(f"{root}: {what}")
        if (root / "images").is_dir() and (root / "masks").is_dir():
            return _from_pairs(root, 1 if min_classes is None else min_classes)
        return _from_classes(root, 2 if min_classes is None else min_classes)

    @classmethod
    def from_arrays(
        cls,
        images: Iterable[Picture],
        labels: Iterable[object],
        *,
        masks: Iterable[Picture] | None = None,
        groups: Iterable[object] | None = None,
        min_classes: int | None = None,
    ) -> Support:
        """Take examples that a program holds: arrays, PIL images or paths, and their labels.

        Labels and groups that are no strings become one. Every image has to be readable here:
        nothing is skipped.

        Raises
        ------
        InputError
            As for `from_folder`; an unreadable image; lengths that differ.
        """
        pictures = tuple(images)
        support = cls(
            pictures,
            tuple(str(label) for label in labels),
            None if masks is None else tuple(masks),
            None if groups is None else tuple(str(group) for group in groups),
            _seen=tuple(_look(picture, len(pictures)) for picture in pictures),
        )
        fewest = (2 if masks is None else 1) if min_classes is None else min_classes
        _check_classes("the support", support.classes, fewest)
        _check_one_label(support)
        for photo, seen, mask in zip(pictures, support._seen, support.masks or (), strict=False):
            _check_mask(photo, seen, mask, read_mask(mask))
        return support

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, each once, in natural order."""
        return tuple(sorted(set(self.labels), key=lambda label: (natural_key(label), label)))

    def by_class(self) -> dict[str, tuple[int, ...]]:
        """Return, for each class in order, the positions of its examples in `images`."""
        places: dict[str, list[int]] = {label: [] for label in self.classes}
        for place, label in enumerate(self.labels):
            places[label].append(place)
        return {label: tuple(found) for label, found in places.items()}

    def read(self, place: int) -> NDArray[np.uint8]:
        """Return example `place` as (H, W, 3) uint8: kept from the check, or decoded again."""
        kept = self._seen[place].pixels if self._seen else None
        return read(self.images[place]) if kept is None else kept

    def read_mask(self, place: int) -> NDArray[Any]:
        """Return the mask of example `place` as (H, W) integers."""
        if self.masks is None:
            raise InputError("this support has no masks: give them in a folder masks/")
        return read_mask(self.masks[place])


def _from_classes(root: Path, min_classes: int) -> Support:
    skipped = [(str(path), "not in the folder of a class") for path in list_images(root)]
    folders = [path for path in root.iterdir() if path.is_dir() and not is_clutter(path.name)]
    folders.sort(key=lambda path: (natural_key(path.name), path.name))
    if not folders:
        where = "its images are in no sub-folder" if skipped else "no images"
        raise InputError(f"{root}: {where}; put those of each class into a folder of its name")
    found = [(_label(folder), list_images(folder)) for folder in folders]
    for folder, (_, paths) in zip(folders, found, strict=True):
        if not paths:
            raise InputError(f"{folder}: no images; add some, or remove this class's folder")
    _check_classes(str(root), [label for label, _ in found], min_classes)

    pairs = [(path, label) for label, paths in found for path in paths]
    looked = in_threads(
        lambda pair: _or_why(pair[0], partial(_look, pair[0], len(pairs))),
        pairs,
        "reading the support",
    )
    kept = []
    for (path, label), seen in zip(pairs, looked, strict=True):
        if isinstance(seen, str):
            skipped.append((str(path), seen))
        else:
            kept.append((path, label, seen))
    for folder, (label, paths) in zip(folders, found, strict=True):
        if label not in {label for _, label, _ in kept}:
            why = dict(skipped)[str(paths[0])]
            raise InputError(f"{folder}: none of its images can be read ({paths[0].name}: {why})")
    images, labels, looks = zip(*kept, strict=True)
    support = Support(images, labels, skipped=tuple(skipped), _seen=looks)
    _check_one_label(support)
    return support


def _from_pairs(root: Path, min_classes: int) -> Support:
    photos, masks = _by_stem(root / "images"), _by_stem(root / "masks")
    for stem, mask in masks.items():
        if stem not in photos:
            raise InputError(f"{mask}: a mask without a photo; add images/{stem}.jpg or remove it")
    _check_classes(str(root), [OBJECT], min_classes)
    kept = []
    skipped: list[tuple[str, str]] = []
    for stem, path in photos.items():
        if stem not in masks:
            skipped.append((str(path), f"no mask masks/{stem}.png"))
            continue
        mask = masks[stem]
        seen = _or_why(path, partial(_look, path, len(photos)))
        values = _or_why(mask, partial(read_mask, mask))
        if isinstance(seen, str):
            skipped.append((str(path), seen))
        elif isinstance(values, str):
            skipped.append((str(mask), values))
        else:
            _check_mask(path, seen, mask, values)
            kept.append((path, mask, seen))
    if not kept:
        why = f" ({skipped[0][0]}: {skipped[0][1]})" if skipped else ""
        raise InputError(f"{root}: no photo with a mask{why}; give images/X.jpg and masks/X.png")
    images, kept_masks, looks = zip(*kept, strict=True)
    labels = (OBJECT,) * len(kept)
    return Support(images, labels, kept_masks, skipped=tuple(skipped), _seen=looks)


def _label(folder: Path) -> str:
    # macOS hands out names decomposed: the same word must stay the same label everywhere
    return unicodedata.normalize("NFC", folder.name)


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_images(folder):
        stem = unicodedata.normalize("NFC", path.stem)
        if stem in found:
            raise InputError(f"{path}: {found[stem].name} has the same name; rename one of them")
        found[stem] = path
    return found


def _look(picture: Picture, among: int) -> _Seen:
    """Decode a picture once, for all that is to be known of it."""
    pixels = read(picture)
    # the pixels, not the file: a copy in another format without loss is found too
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    digest.update(pixels.data)
    small = pixels.nbytes <= KEEP_BYTES // among
    return _Seen(pixels.shape, digest.digest(), pixels if small else None)


def _or_why(path: Path, work: Callable[[], Result]) -> Result | str:
    """Return what `work` gives, or why the file cannot be used."""
    try:
        return work()
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")


def _check_classes(where: str, labels: Sequence[str], fewest: int) -> None:
    classes = sorted(set(labels))
    if len(classes) >= fewest:
        return
    if not classes:
        raise InputError(f"{where}: no examples; give at least one image of each class")
    have = "one class only" if len(classes) == 1 else f"only {len(classes)} classes"
    raise InputError(f"{where}: {have} ({', '.join(classes)}); give examples of {fewest} or more")


def _check_one_label(support: Support) -> None:
    first: dict[bytes, int] = {}
    for place, seen in enumerate(support._seen):
        other = first.setdefault(seen.digest, place)
        if support.labels[other] != support.labels[place]:
            one, two = (name(support.images[i]) or f"image {i}" for i in (other, place))
            raise InputError(
                f"{two}: the same image as {one}, but labelled {support.labels[place]!r}"
                f" and not {support.labels[other]!r}; keep the right one"
            )


def _check_mask(photo: Picture, seen: _Seen, mask: Picture, values: NDArray[Any]) -> None:
    (high, wide), (tall, broad) = seen.shape[:2], values.shape
    if (high, wide) != (tall, broad):
        raise InputError(
            f"{name(mask) or 'a mask'}: {broad} x {tall}, but its photo"
            f" {name(photo) or ''} is {wide} x {high}; make them of one size"
        )
