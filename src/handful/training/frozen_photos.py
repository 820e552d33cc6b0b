"""Photos whose frozen trunk was run once: what tasks that tune a backbone's tail learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from handful.backbones import FeatureMaps
from handful.backbones.photos import BATCH, Size, preparation
from handful.backbones.tail import Tail
from handful.data.class_folders import ClassFolders
from handful.data.pictures import decode_ahead
from handful.data.progress import track
from handful.errors import InputError
from handful.methods.similarity_attention import IMAGES, Kind


@dataclass(frozen=True, eq=False)
class FrozenPhotos:
    """Photos as a network sees them.

    Attributes
    ----------
    pixels : ndarray
        (N, 3, H, W) uint8, before normalisation.
    frozen : Tensor
        (N, 2, C, h, w) float16: the trunk's output for the photo and for its mirror image; (N, 1,
        C, h, w) without the latter.
    index : Tensor
        (N,) the class of each, from 0 up.
    source : ClassFolders
        Their files and labels.
    mean, std : tuple of float
        How the network wants its pixels normalised.
    """

    pixels: NDArray[np.uint8]
    frozen: Tensor
    index: Tensor
    source: ClassFolders
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def ways(self) -> int:
        """How many classes there are."""
        return int(self.index.max()) + 1

    def take(self, which: ArrayLike) -> FrozenPhotos:
        """Return some of them, by number, their classes numbered anew."""
        rows = np.asarray(which, np.int64)
        kept = torch.from_numpy(rows)
        return FrozenPhotos(
            self.pixels[rows],
            self.frozen[kept],
            torch.unique(self.index[kept], return_inverse=True)[1],
            self.source.take(rows),
            self.mean,
            self.std,
        )

    def images(self, rows: Tensor, mirrored: Tensor) -> Tensor:
        """Return photos normalised, as numbers and mirrorings of any shape (...) ask for them.

        Returns
        -------
        Tensor
            (..., 3, H, W) float32.
        """
        found = torch.from_numpy(self.pixels[rows.numpy()]).float() / 255
        turned = torch.where(mirrored[..., None, None, None] > 0, found.flip(-1), found)
        return (turned - _planes(self.mean)) / _planes(self.std)


def freeze(
    tail: Tail, backbone: FeatureMaps, folder: ClassFolders, size: Size, mirror: bool = True
) -> FrozenPhotos:
    """Decode every photo once, and run the trunk over it and its mirror image.

    Parameters
    ----------
    tail : Tail
        Of `backbone`; what comes before it is run.
    backbone : FeatureMaps
        Says how pixels are normalised.
    folder : ClassFolders
        The photos; those that cannot be read are left out.
    size : int or (int, int)
        Side, or height and width, to which photos are brought, in pixels.
    mirror : bool
        False leaves the mirror images out, for photos that are only measured.

    Raises
    ------
    InputError
        No photo can be read.
    """
    prepare = preparation(backbone, size)
    mean, std = _planes(backbone.mean), _planes(backbone.std)
    pixels: list[NDArray[np.uint8]] = []
    frozen: list[Tensor] = []
    kept: list[int] = []
    pictures = track(folder.pictures, f"running the trunk of {backbone.name}", len(folder))
    for batch in decode_ahead(pictures, [], BATCH):
        x = torch.from_numpy(np.stack([prepare(image) for image in batch.images]))
        with torch.no_grad():
            sides = [x, x.flip(-1)] if mirror else [x]
            frozen.append(torch.stack([tail.trunk(side) for side in sides], 1).half())
        pixels.append((((x * std) + mean) * 255).round().clip(0, 255).to(torch.uint8).numpy())
        kept += batch.places
    if not kept:
        raise InputError(f"{folder.root}: none of its images can be read")
    source = folder.take(kept)
    index = torch.from_numpy(np.unique(np.array(source.labels), return_inverse=True)[1])
    return FrozenPhotos(
        np.concatenate(pixels),
        torch.cat(frozen),
        index,
        source,
        tuple(backbone.mean),
        tuple(backbone.std),
    )


def _planes(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(3, 1, 1)


def draw_batch(
    index: Tensor, classes: int, photos: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw a batch of some photos of each of some classes.

    Returns
    -------
    rows, names : Tensor
        (classes * photos,) places and classes. A class with too few photos repeats some.
    """
    ways = torch.randperm(int(index.max()) + 1, generator=generator)[:classes]
    rows = []
    for way in ways.tolist():
        members = torch.nonzero(index == way).flatten()
        order = torch.randperm(len(members), generator=generator)
        rows.append(members[order.repeat(-(-photos // len(members)))[:photos]])
    found = torch.cat(rows)
    return found, index[found]


def draw_tuples(names: Tensor, kind: Kind, count: int, generator: torch.Generator) -> Tensor:
    """Draw tuples from a batch: (images of the kind, count) places in it.

    The anchor and the positive are two photos of one class; every negative is of a class of its
    own.
    """
    drawn = []
    for _ in range(count):
        order = torch.randperm(len(names), generator=generator)
        anchor = int(order[0])
        taken, used = [anchor], {int(names[anchor])}
        taken.append(next(int(p) for p in order[1:] if names[p] == names[anchor]))
        for place in order[1:].tolist():
            if len(taken) == IMAGES[kind]:
                break
            if int(names[place]) not in used:
                taken.append(place)
                used.add(int(names[place]))
        drawn.append(taken)
    return torch.tensor(drawn).T
