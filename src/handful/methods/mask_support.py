"""Examples with masks as people give them: pictures, and where each class is in each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from handful.data.annotations import OBJECT
from handful.data.pictures import is_one, name
from handful.data.segmentation_set import SegmentationSet
from handful.errors import InputError
from handful.images import ImageLike, read, read_mask, size
from handful.methods.segmenter import Image, Mask

MaskLike: TypeAlias = "ImageLike | Mapping[str, ImageLike]"
"""A mask (any value but 0 is the object), or one for each label."""


@dataclass(frozen=True, eq=False)
class Example:
    """One picture with the masks of the classes that it is an example of.

    Attributes
    ----------
    picture : path, PIL image or array
        The picture; it is decoded when asked for.
    masks : dict of str to array
        (H, W) uint8 of each label, of the picture's size: 1 the object, 0 not, 255 void.
    """

    picture: ImageLike
    masks: dict[str, Mask]

    @property
    def image(self) -> str | None:
        """Its path, where it has one."""
        return name(self.picture)

    def read(self) -> Image:
        """Decode the picture."""
        return read(self.picture)


def gather_examples(
    images: Iterable[ImageLike] | ImageLike | SegmentationSet,
    masks: Iterable[MaskLike] | MaskLike | None = None,
    labels: Iterable[object] | object | None = None,
) -> tuple[list[str], list[Example]]:
    """Return the classes, and the examples with their masks decoded and checked.

    Parameters
    ----------
    images : images, or SegmentationSet
        A picture given twice, with masks of two labels, is one example of both.
    masks : masks
        As many; a mapping gives one for each label.
    labels : str or iterable of str
        The class of each mask; ``object`` where not given.

    Raises
    ------
    InputError
        Lengths that differ, an unreadable file, a mask of another size than its picture, or a
        class that no mask shows, or that covers every picture of it whole.
    """
    if isinstance(images, SegmentationSet):
        classes, examples = list(images.labels), list(_of_set(images))
    else:
        examples = _of_lists(images, masks, labels)
        classes = sorted({label for example in examples for label in example.masks})
    shown = [label for label in classes if _shows(examples, label)]
    if not isinstance(images, SegmentationSet):
        for label in classes:
            if label not in shown:
                raise InputError(f"{_first(examples, label)}: the mask is empty; mark the object")
    if not shown:
        raise InputError("no mask shows an object: mark it in at least one example")
    for label in shown:
        of_label = [example.masks[label] for example in examples if label in example.masks]
        if not any((mask == 0).any() for mask in of_label):
            raise InputError(
                f"{_first(examples, label)}: the mask of {label!r} covers the whole picture; leave"
                " out what surrounds the object"
            )
    return shown, [example for example in examples if example.masks]


def _of_set(photos: SegmentationSet) -> Iterator[Example]:
    """Yield the photos with the classes that they show; what shows none is without all."""
    for place in range(len(photos)):
        there = np.flatnonzero(photos.present[place])
        columns = there if there.size else np.arange(len(photos.labels))
        masks = {photos.labels[c]: photos.checked_mask(place, int(c)) for c in columns}
        yield Example(photos.photo(place), masks)


def _of_lists(images: Any, masks: Any, labels: Any) -> list[Example]:
    if masks is None:
        raise InputError("examples without masks: give a mask for each image")
    if is_one(images):
        images, masks = [images], [masks]
        labels = None if labels is None else [labels]
    pictures, given = list(images), list(masks)
    names = [OBJECT] * len(given) if labels is None else [str(label) for label in labels]
    if not pictures or not len(pictures) == len(given) == len(names):
        raise InputError(
            f"{len(pictures)} images, {len(given)} masks, {len(names)} labels: give one mask (and"
            " one label) for each image, and at least one image"
        )
    examples: dict[object, Example] = {}
    for place, (picture, mask, label) in enumerate(zip(pictures, given, names, strict=True)):
        key = name(picture) or id(picture)
        example = examples.setdefault(key, Example(picture, {}))
        several = mask if isinstance(mask, Mapping) else {label: mask}
        for own, value in several.items():
            found = _mask(value, picture, name(picture) or f"example {place}")
            before = example.masks.get(str(own))
            example.masks[str(own)] = found if before is None else np.maximum(before, found)
    return list(examples.values())


def _mask(mask: ImageLike, picture: ImageLike, where: str) -> Mask:
    values, (height, width) = read_mask(mask), size(picture)
    if values.shape != (height, width):
        raise InputError(
            f"{name(mask) or where}: the mask is {values.shape[1]} x {values.shape[0]}, but its"
            f" picture {width} x {height}; make them of one size"
        )
    found: Mask = (values != 0).astype(np.uint8)
    return found


def _shows(examples: Sequence[Example], label: str) -> bool:
    return any(label in e.masks and bool((e.masks[label] == 1).any()) for e in examples)


def _first(examples: Sequence[Example], label: str) -> str:
    place, example = next((i, e) for i, e in enumerate(examples) if label in e.masks)
    return example.image or f"example {place}"
