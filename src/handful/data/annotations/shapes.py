"""Annotated objects, whatever file they stand in: a label, and where the object is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.annotations import polygons, runs
from handful.data.annotations.mask import Mask
from handful.data.annotations.polygons import Polygon
from handful.data.segmentation.photos import Indices, SegmentationSet
from handful.errors import InputError
from handful.images import size as image_size

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One annotated object.

    Attributes
    ----------
    label : str
        Its class.
    polygons : tuple of ndarray
        Parts of it, each (n, 2).
    runs : tuple of int or str, optional
        Run lengths over the whole picture, and in `runs_size` the height and width they are of.
    pixels : ndarray, optional
        (h, w) bool, a piece of the mask whose top left pixel is at `corner` (x, y).
    box : tuple, optional
        Where it is, when nothing finer is known.
    """

    label: str
    polygons: tuple[Polygon, ...] = ()
    runs: tuple[int, ...] | str | None = None
    runs_size: tuple[int, int] | None = None
    pixels: NDArray[np.bool_] | None = None
    corner: tuple[int, int] = (0, 0)
    box: Box | None = None

    @property
    def has_mask(self) -> bool:
        """Whether more than a box is known."""
        return bool(self.polygons) or self.runs is not None or self.pixels is not None

    def mask(self, size: tuple[int, int], where: object = "an annotation") -> NDArray[np.bool_]:
        """Return its pixels, (H, W) bool.

        Raises
        ------
        InputError
            It lies outside a picture of `size` = (height, width), belongs to one of another
            size, or is a box alone.
        """
        if not self.has_mask:
            raise InputError(f"{where}: {self.label!r} has a box and no mask; outline the object")
        found = polygons.fill(self.polygons, size, where)
        if self.runs is not None:
            if self.runs_size is not None and self.runs_size != tuple(size):
                high, wide = self.runs_size
                raise InputError(
                    f"{where}: the mask of {self.label!r} is {wide} x {high}, but its image"
                    f" {size[1]} x {size[0]}; give the image it was drawn on"
                )
            counts = self.runs if isinstance(self.runs, str) else list(self.runs)
            found |= runs.decode(counts, size, where)
        if self.pixels is not None:
            found |= _placed(self.pixels, self.corner, size, f"{where}: {self.label!r}")
        return found


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """A picture and the objects marked in it.

    Attributes
    ----------
    path : str
        The picture's file, as the annotation names it.
    size : (int, int)
        Height and width, as the annotation states them.
    shapes : tuple of Shape
        The objects.
    source : str
        The file that holds the annotation, for messages.
    """

    path: str
    size: tuple[int, int]
    shapes: tuple[Shape, ...]
    source: str = "an annotation"

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that have a mask, each once, in order."""
        return tuple(dict.fromkeys(shape.label for shape in self.shapes if shape.has_mask))

    def mask(self, label: str, size: tuple[int, int] | None = None) -> Mask:
        """Return the union of all objects of a class, (H, W) uint8 of 0 and 1.

        Parameters
        ----------
        label : str
            The class; nothing of it is an empty mask.
        size : (int, int), optional
            Height and width of the picture itself, which have to be those stated.

        Raises
        ------
        InputError
            The picture has another size; a shape cannot be drawn in it.
        """
        where = f"{self.source}, {self.path}"
        if size is not None and tuple(size) != self.size:
            raise InputError(
                f"{where}: annotated at {self.size[1]} x {self.size[0]}, but the image is"
                f" {size[1]} x {size[0]}; give the image it was drawn on"
            )
        found = np.zeros(self.size, bool)
        for shape in self.shapes:
            if shape.label == label and shape.has_mask:
                found |= shape.mask(self.size, where)
        return found.astype(np.uint8)


@dataclass(frozen=True, eq=False)
class ShapeMasks:
    """Masks drawn from annotations when they are asked for: a `MaskSource`."""

    images: tuple[AnnotatedImage, ...]
    paths: tuple[Path, ...]
    labels: tuple[str, ...]

    def read(self, image: int, label: int) -> Mask:
        """Return where a class is in a photo."""
        return self.images[image].mask(self.labels[label], image_size(self.paths[image]))

    def take(self, rows: Indices, labels: Indices) -> ShapeMasks:
        """Return the masks of some photos, of some classes."""
        return replace(
            self,
            images=tuple(self.images[i] for i in rows),
            paths=tuple(self.paths[i] for i in rows),
            labels=tuple(self.labels[c] for c in labels),
        )


def from_shapes(
    name: str,
    root: Path,
    pairs: Iterable[tuple[Path, AnnotatedImage]],
    labels: Sequence[str] | None = None,
    skipped: Collection[tuple[str, str]] = (),
) -> SegmentationSet:
    """Index annotated photos; nothing is drawn until a mask is asked for.

    Parameters
    ----------
    name : str
        The data set.
    root : Path
        What the photos' paths are given relative to.
    pairs : iterable of (Path, AnnotatedImage)
        The photos.
    labels : sequence of str, optional
        The classes, in order; those that occur, sorted, where not given.
    skipped : collection of (path, why)
        What the reader left out already.

    Raises
    ------
    InputError
        There is no photo with a mask.
    """
    kept = list(pairs)
    shown = [set(image.labels) for _, image in kept]
    if not any(shown):
        raise InputError(f"{root}: no annotation holds a mask; outline objects by polygons")
    order = tuple(labels) if labels is not None else tuple(sorted(set().union(*shown)))
    present = np.array([[label in there for label in order] for there in shown], bool)
    paths = tuple(path for path, _ in kept)
    images = tuple(image for _, image in kept)
    return SegmentationSet(
        name,
        root,
        tuple(path.relative_to(root).as_posix() for path in paths),
        order,
        present,
        ShapeMasks(images, paths, order),
        skipped=tuple(skipped),
    )


def _placed(
    piece: NDArray[Any], corner: tuple[int, int], size: tuple[int, int], where: str
) -> NDArray[np.bool_]:
    (left, top), (tall, wide) = corner, piece.shape
    height, width = size
    if left < 0 or top < 0 or left + wide > width or top + tall > height:
        raise InputError(
            f"{where}: {wide} x {tall} pixels at {left}, {top} reach out of the"
            f" {width} x {height} image; give the image it was drawn on"
        )
    whole = np.zeros(size, bool)
    whole[top : top + tall, left : left + wide] = piece
    return whole
