"""Examples as people give them: pictures, and where each class is in each, if they say it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np

from handful.data.annotations import OBJECT
from handful.data.pictures import Picture, box, is_one, many, name, title, whole
from handful.data.segmentation.photos import SegmentationSet
from handful.data.support import Support
from handful.errors import InputError
from handful.images import ImageLike, read, read_mask, size
from handful.images.tones import brighten
from handful.methods.masks.refining import box_mask
from handful.methods.segmenter import VOID, Image, Mask

MaskLike: TypeAlias = "ImageLike | Mapping[str, ImageLike]"
"""A mask (any value but 0 is the object), or one for each label."""

Taught = Literal["masks", "boxes", "labels"]
"""What says where the objects are: their masks, boxes around them, or nothing."""

Given: TypeAlias = "Iterable[Picture] | Picture | SegmentationSet | Support"
"""Pictures, each perhaps one object of a whole one; or a set that brings masks or labels."""


@dataclass(frozen=True, eq=False)
class Example:
    """One picture with the masks of the classes that it is an example of.

    Attributes
    ----------
    picture : path, PIL image or array
        The picture; it is decoded when asked for.
    masks : dict of str to array
        (H, W) uint8 of each label, of the picture's size: 1 the object, 0 not, 255 void; void all
        over where nobody said where the object is.
    """

    picture: ImageLike
    masks: dict[str, Mask]

    @property
    def image(self) -> str | None:
        """Its path, where it has one."""
        return name(self.picture)

    def read(self) -> Image:
        """Decode the picture; a dark one is brightened."""
        return brighten(read(self.picture))


class Examples(NamedTuple):
    """What a segmenter is fitted to.

    Attributes
    ----------
    classes : list of str
        The classes, in order.
    examples : list of Example
        The pictures.
    taught : {"masks", "boxes", "labels"}
        What said where the objects are.
    """

    classes: list[str]
    examples: list[Example]
    taught: Taught


def gather(
    images: Given,
    masks: Iterable[MaskLike] | MaskLike | None = None,
    labels: Iterable[object] | object | None = None,
) -> Examples:
    """Return examples in whichever form they are given.

    Parameters
    ----------
    images : pictures, SegmentationSet or Support
        A `handful.data.pictures.Cutout` is a picture with a box in it.
    masks : masks, optional
        Without them, boxes become masks by GrabCut; without those too, labels are all there is.
    labels : str or iterable of str, optional
        The class of each.

    Raises
    ------
    InputError
        As for `gather_examples`; no masks and no labels; or boxes for some pictures alone.
    """
    if isinstance(images, Support):
        pictures, masks, labels = images.images, images.masks, images.labels
    elif isinstance(images, SegmentationSet) or masks is not None:
        return Examples(*gather_examples(images, masks, labels), "masks")  # type: ignore[arg-type]
    elif is_one(images):
        pictures, labels = (images,), None if labels is None else (labels,)
    else:
        pictures = tuple(many(images))
    boxes = [box(picture) for picture in pictures]
    photos = [whole(picture) for picture in pictures]
    if masks is not None:
        return Examples(*gather_examples(photos, masks, labels), "masks")
    if any(boxes):
        made = list(_box_masks(pictures))
        return Examples(*gather_examples(photos, made, labels), "boxes")
    if labels is None:
        raise InputError("examples without masks: give a mask, a box or a label for each image")
    return _labelled(photos, [str(label) for label in cast("Iterable[object]", labels)])


def _box_masks(pictures: Sequence[Picture]) -> Iterator[Mask]:
    for place, picture in enumerate(pictures):
        found = box(picture)
        if found is None:
            raise InputError(
                f"{title(picture) or f'example {place}'}: has no box, but others have; give each"
                " example its own"
            )
        yield box_mask(read(whole(picture)), found)


def _labelled(photos: Sequence[ImageLike], labels: Sequence[str]) -> Examples:
    if not photos or len(photos) != len(labels):
        raise InputError(
            f"{len(photos)} images, {len(labels)} labels: give one label for each image, and at"
            " least one image"
        )
    examples: dict[object, Example] = {}
    for photo, label in zip(photos, labels, strict=True):
        example = examples.setdefault(name(photo) or id(photo), Example(photo, {}))
        # a view of one value: nobody said where it is
        example.masks[label] = np.broadcast_to(np.uint8(VOID), size(photo))
    return Examples(sorted(set(labels)), list(examples.values()), "labels")


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
        place = f"{examples[0].image}: " if examples and examples[0].image else ""
        raise InputError(f"{place}no mask shows an object: mark it in at least one example")
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
