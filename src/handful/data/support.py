"""A support: the few labelled examples that a task is taught by, read and checked.

Layouts of a support folder
---------------------------
One sub-folder for each class, named as its label::

    support/cat/a.jpg  support/cat/b.png  support/dog/c.jpg

Photos and their masks, paired by name (their label is ``object``, or the sub-folder's name)::

    support/images/a.jpg      support/masks/a.png
    support/images/cat/a.jpg  support/masks/cat/a.png

A manifest (:mod:`handful.data.manifest`) is a support too: where it has boxes, an example is what
lies in the box; where it has groups, they are kept together.

Hidden files and what systems leave behind (``.DS_Store``, ``Thumbs.db``) are ignored. A file that
cannot be read is left out and listed in `Support.skipped`; what would make the answers wrong
without anybody noticing is an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.looking import Seen, look
from handful.data.manifest import Manifest, is_manifest, read_manifest
from handful.data.pictures import Picture, box, name, title, whole
from handful.data.support_layouts import OBJECT, has_masks, list_classes, list_masked
from handful.errors import InputError
from handful.images import ImageLike, cut_masked, natural_key, read_mask
from handful.images.cutting import read_objects

__all__ = ["OBJECT", "Support"]


@dataclass(frozen=True, eq=False)
class Support:
    """Labelled examples of one task; build it by `read_any` or one of the ``from_`` methods.

    Parameters
    ----------
    images : tuple of path, PIL image, ndarray or Cutout
        The examples as they were given; a `Cutout` is one object of a picture.
    labels : tuple of str
        The class of each.
    masks : tuple of path, PIL image or ndarray, optional
        For each example, which of its pixels show it.
    groups : tuple of (str or None), optional
        For each example, what it must not be parted from: a slide, a camera, a burst. None: it
        stands alone.
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
    masks: tuple[ImageLike, ...] | None = None
    groups: tuple[str | None, ...] | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    _seen: tuple[Seen, ...] = field(default=(), repr=False)

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
        masked = has_masks(root)
        listing = list_masked(root) if masked else list_classes(root)
        fewest = (1 if masked else 2) if min_classes is None else min_classes
        _check_classes(str(root), listing.labels or [OBJECT], fewest)
        support = _read(
            listing.paths, listing.labels, listing.skipped, masks=listing.masks if masked else None
        )
        if masked and not support:
            why = f" ({': '.join(support.skipped[0])})" if support.skipped else ""
            form = "give images/X.jpg and masks/X.png"
            raise InputError(f"{root}: no photo with a mask{why}; {form}")
        for label, path in zip(listing.labels, listing.paths, strict=True):
            if label not in support.labels:
                first = next(pair for pair in support.skipped if Path(pair[0]).stem == path.stem)
                why = f"{Path(first[0]).name}: {first[1]}"
                raise InputError(f"{path.parent}: none of its images can be read ({why})")
        _check_one_label(support)
        return support

    @classmethod
    def read_any(cls, path: str | os.PathLike[str], *, min_classes: int | None = None) -> Support:
        """Read a support folder or a manifest, whichever this is.

        Raises
        ------
        InputError
            As for `from_folder` and `from_manifest`.
        """
        if is_manifest(path):
            return cls.from_manifest(path, min_classes=min_classes)
        return cls.from_folder(path, min_classes=min_classes)

    @classmethod
    def from_manifest(
        cls, manifest: str | os.PathLike[str] | Manifest, *, min_classes: int | None = None
    ) -> Support:
        """Take the rows of a manifest as examples.

        Parameters
        ----------
        manifest : path-like or Manifest
            A file that `handful.data.manifest.read_manifest` reads, or some of its rows.
        min_classes : int, optional
            The fewest classes that make sense; 2 unless given.

        Raises
        ------
        InputError
            As for `from_folder`; no row has a label. Rows without one are skipped.
        """
        listed = manifest if isinstance(manifest, Manifest) else read_manifest(manifest)
        rows = [row for row in listed if row.label is not None]
        if not rows:
            why = f" ({': '.join(listed.skipped[0])})" if not listed and listed.skipped else ""
            raise InputError(f"{listed.source}: no row has a label{why}; add a column label")
        bare = [(title(row.picture) or "", "no label") for row in listed if row.label is None]
        support = _read(
            [row.picture for row in rows],
            [str(row.label) for row in rows],
            [*listed.skipped, *bare],
            groups=None if listed.groups is None else [row.group for row in rows],
        )
        fewest = 2 if min_classes is None else min_classes
        _check_classes(str(listed.source), support.classes, fewest)
        _check_one_label(support)
        return support

    @classmethod
    def from_arrays(
        cls,
        images: Iterable[Picture],
        labels: Iterable[object],
        *,
        masks: Iterable[ImageLike] | None = None,
        groups: Iterable[object] | None = None,
        min_classes: int | None = None,
    ) -> Support:
        """Take examples that a program holds: arrays, PIL images or paths, and their labels.

        Labels and groups that are no strings become one; a group of None stands alone. Every
        image has to be readable here: nothing is skipped.

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
            None if groups is None else tuple(None if g is None else str(g) for g in groups),
        )
        fewest = (2 if masks is None else 1) if min_classes is None else min_classes
        _check_classes("the support", support.classes, fewest)
        support = replace(support, _seen=look(pictures)[1])
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

    def read(self, place: int, at_least: int | None = None) -> NDArray[np.uint8]:
        """Return example `place` as (H, W, 3) uint8: kept from the check, or decoded again.

        Parameters
        ----------
        place : int
            Which one; of a `Cutout` its part is returned.
        at_least : int, optional
            A short side in pixels that is enough: large JPEGs are decoded as for a query.

        Raises
        ------
        InputError
            The file has changed so that it cannot be read any more.
        """
        kept = self._seen[place].pixels if self._seen else None
        if kept is not None and (at_least is None or min(kept.shape[:2]) < 2 * at_least):
            return kept
        picture = self.images[place]
        (found,) = read_objects(whole(picture), [box(picture)], at_least)
        if isinstance(found, InputError):
            raise found
        return found

    def read_object(self, place: int, at_least: int | None = None) -> NDArray[np.uint8]:
        """Return what example `place` is an example of: `read`, its mask cut out where it has one.

        See `handful.images.cut_masked`. What is masked is decoded in full.
        """
        if self.masks is None:
            return self.read(place, at_least)
        return cut_masked(self.read(place), self.read_mask(place))

    def read_mask(self, place: int) -> NDArray[Any]:
        """Return the mask of example `place` as (H, W) integers."""
        if self.masks is None:
            raise InputError("this support has no masks: give them in a folder masks/")
        return read_mask(self.masks[place])


def _read(
    pictures: Sequence[Picture],
    labels: Sequence[str],
    skipped: Iterable[tuple[str, str]],
    masks: Sequence[ImageLike] | None = None,
    groups: Sequence[str | None] | None = None,
) -> Support:
    """Decode examples and their masks, and leave out what cannot be read."""
    left_out = list(skipped)
    places, looked = look(pictures, left_out)
    seen = dict(zip(places, looked, strict=True))
    if masks is not None:
        for place in places:
            try:
                values = read_mask(masks[place])
            except InputError as error:
                path = name(masks[place]) or "a mask"
                left_out.append((path, str(error).removeprefix(f"{path}: ")))
                del seen[place]
                continue
            _check_mask(pictures[place], seen[place], masks[place], values)
    return Support(
        tuple(pictures[place] for place in seen),
        tuple(labels[place] for place in seen),
        None if masks is None else tuple(masks[place] for place in seen),
        None if groups is None else tuple(groups[place] for place in seen),
        tuple(left_out),
        tuple(seen.values()),
    )


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
            one, two = (title(support.images[i]) or f"image {i}" for i in (other, place))
            raise InputError(
                f"{two}: the same image as {one}, but labelled {support.labels[place]!r}"
                f" and not {support.labels[other]!r}; keep the right one"
            )


def _check_mask(photo: Picture, seen: Seen, mask: ImageLike, values: NDArray[Any]) -> None:
    (high, wide), (tall, broad) = seen.shape[:2], values.shape
    if (high, wide) != (tall, broad):
        raise InputError(
            f"{name(mask) or 'a mask'}: {broad} x {tall}, but its photo"
            f" {name(photo) or ''} is {wide} x {high}; make them of one size"
        )
