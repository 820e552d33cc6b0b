"""Co-segmentation of the support and the query: one GrabCut over all of the photos.

The published baseline of A. Shaban et al., "One-shot learning for semantic segmentation", 2017,
is co-segmentation by composition (A. Faktor and M. Irani, 2013), whose solver is not here. This
one is simpler, and no measure of that: the photos lie side by side in one picture, so that object
and ground have the same mixtures of colours in all of them (C. Rother et al., "GrabCut", 2004),
the masks of the support are sure, and what the query is taken to show at first comes from
prototypes of features that the support and the query share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.backbones import FeatureMaps
from handful.errors import InputError
from handful.images import resize
from handful.methods.dense_pixels import chosen_layers
from handful.methods.masks.grabcut import LIKELY, NOT, SURELY, UNLIKELY, grabcut
from handful.methods.prototype_segmentation import PrototypePair, PrototypeSegmentation
from handful.methods.segmenter import CUT, VOID, Answer, Features, Image, Mask, at_size

SIDE = 121
"""Side of the square to which every photo is brought, in pixels."""

PIXELS = "pixels"
"""The name of the small photo among what is kept of one."""


@dataclass(frozen=True)
class ColourSupport:
    """One class: the photos with hints of what they show, and the prototypes of their features.

    Attributes
    ----------
    pixels : Tensor
        (K, SIDE, SIDE, 3) uint8.
    hints : Tensor
        (K, SIDE, SIDE) uint8, of `handful.methods.masks.grabcut`.
    pair : PrototypePair
        For the first guess at a query, and for presence.
    """

    pixels: Tensor
    hints: Tensor
    pair: PrototypePair

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it under flat names, as safetensors keeps it."""
        return {"pixels": self.pixels, "hints": self.hints} | self.pair.tensors()

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> ColourSupport:
        """Return the support whose `tensors` these are."""
        rest = dict(tensors)
        try:
            pixels, hints = rest.pop("pixels"), rest.pop("hints")
        except KeyError as error:
            raise InputError(f"a support of colours without {error}; fit again") from None
        return cls(pixels, hints, PrototypePair.from_tensors(rest))


class Cosegmentation:
    """Cut the object out of support and query together.

    Parameters
    ----------
    backbone : FeatureMaps
        With its weights loaded.
    name : str
        The name under which results quote it.
    layers : sequence of str, optional
        Its maps; by default those of strides 16 and 32.
    threshold : float
        Presence at or above which the class is said to be there.

    Examples
    --------
    >>> from handful.backbones.handful_base import HandfulBase
    >>> method = Cosegmentation(HandfulBase().load(), "cosegmentation:handful-base")
    >>> photo = np.zeros((121, 121, 3), np.uint8)
    >>> photo[30:90, 30:90] = (255, 160, 0)
    >>> mask = (photo[..., 0] > 0).astype(np.uint8)
    >>> features = method.encode([photo])
    >>> found = method.answer(features[0], [method.condition(features, [mask])])
    >>> bool((found.masks[0].numpy() == mask).all())
    True
    """

    def __init__(
        self,
        backbone: FeatureMaps,
        name: str,
        layers: Sequence[str] | None = None,
        threshold: float = 0.5,
    ) -> None:
        self._guess = PrototypeSegmentation(backbone, name, chosen_layers(backbone, layers))
        self.name = name
        self.backbone = backbone.name
        self.threshold = threshold

    def encode(self, images: Sequence[Image]) -> list[dict[str, Tensor]]:
        """Return the maps of photos on the CPU, and each photo small, (3, SIDE, SIDE) uint8."""
        small = [torch.from_numpy(resize(image, (SIDE, SIDE))).permute(2, 0, 1) for image in images]
        maps = self._guess.encode(images)
        return [{**found, PIXELS: photo} for found, photo in zip(maps, small, strict=True)]

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> ColourSupport:
        """Keep the photos with what their masks say.

        Parameters
        ----------
        features : sequence of mapping
            Of each shot, what `encode` gave.
        masks : sequence of array
            (H, W) uint8, of any size: 1 the object, 0 not, 255 left open.

        Raises
        ------
        InputError
            Another number of masks than of photos, or no mask with the object.
        """
        pair = self._guess.condition(features, masks)  # checks what is given
        hints = np.stack([_sure_hints(mask) for mask in masks])
        pixels = torch.stack([found[PIXELS].permute(1, 2, 0) for found in features])
        return ColourSupport(pixels, torch.from_numpy(hints), pair)

    def answer(self, query: Features, states: Sequence[ColourSupport]) -> Answer:
        """Segment one query by several classes; masks are 0 or 1.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        states : sequence of ColourSupport
            What `condition` gave.
        """
        guess = self._guess.answer(query, [state.pair for state in states])
        photo = query[PIXELS].permute(1, 2, 0).numpy()
        first = at_size(guess.masks, (SIDE, SIDE)).numpy() >= CUT
        masks = [_cut(photo, one, state) for one, state in zip(first, states, strict=True)]
        return Answer(torch.from_numpy(np.stack(masks)).float(), guess.presence)


def _sure_hints(mask: Mask) -> NDArray[np.uint8]:
    """Return what a mask says, at SIDE x SIDE; an object is never too small for it."""
    rows, columns = (np.arange(SIDE) * side // SIDE for side in mask.shape)
    small = mask[rows][:, columns]
    hints = np.where(small == VOID, UNLIKELY, NOT).astype(np.uint8)
    hints[small == 1] = SURELY
    if (mask == 1).any() and not (small == 1).any():
        places = np.argwhere(mask == 1).mean(0) * SIDE // mask.shape
        hints[tuple(places.astype(int))] = SURELY
    return hints


def _cut(photo: Image, first: NDArray[np.bool_], state: ColourSupport) -> NDArray[np.bool_]:
    """Cut all photos in one picture; return the part of the query, (SIDE, SIDE)."""
    own = np.where(first, LIKELY, UNLIKELY).astype(np.uint8)
    picture = np.concatenate([photo, *state.pixels.numpy()], 1)
    hints = np.concatenate([own, *state.hints.numpy()], 1)
    return grabcut(picture, hints)[:, :SIDE]
