"""What every segmentation method offers: encode pictures, condition on examples, answer.

A verb, a protocol and a benchmark see a method only through this door. The three steps are apart
because they are needed unequally often: a photo is encoded once, whatever it is used for; a class
is conditioned once; and a query with many classes shares its features among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.errors import InputError

Image = NDArray[np.uint8]
"""One decoded picture, (H, W, 3) uint8 RGB."""

Mask = NDArray[np.uint8]
"""Which pixels show the object, (H, W) uint8: 1 the object, 0 not, 255 unknown (void)."""

Features: TypeAlias = Mapping[str, Tensor]
"""What a method keeps of one picture: named maps (channels, h, w) on the CPU."""

VOID = 255
"""The value of a mask where nobody said what is there."""

CUT = 0.5
"""A soft mask's value from which on a pixel belongs to the class."""


class Answer(NamedTuple):
    """What a method says about one query.

    Attributes
    ----------
    masks : Tensor
        (classes, h, w) float32 in [0, 1], on the method's own grid over the whole picture; at or
        above `CUT` the pixel belongs to the class, whatever the other classes say.
    presence : Tensor
        (classes,) float32 in [0, 1]: how sure it is that the class is there at all.
    """

    masks: Tensor
    presence: Tensor


@runtime_checkable
class SegmentationMethod(Protocol):
    """A fixed, general model that finds in a query what examples with masks show.

    Attributes
    ----------
    name : str
        The name under which results quote it, such as ``mshnet:resnet50``.
    backbone : str
        The network it stands on; ``"none"`` where there is none.
    threshold : float
        Presence at or above which the class is said to be there, in [0, 1].
    """

    name: str
    backbone: str
    threshold: float

    def encode(self, images: Sequence[Image]) -> Sequence[Features]:
        """Turn pictures, at the size at which they are to be seen, into features of each."""
        ...

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> Any:
        """Learn one class from its shots: the features of each, and the mask of each.

        A mask covers the whole picture and may have any size; the method brings it to its maps.
        """
        ...

    def answer(self, query: Features, states: Sequence[Any]) -> Answer:
        """Segment one query by the classes that `condition` gave, in their order."""
        ...


@runtime_checkable
class Attentive(SegmentationMethod, Protocol):
    """A method that says where it looks."""

    def attention(self, query: Features, states: Sequence[Any]) -> Tensor:
        """Return where a query is like each class, (classes, h, w), not negative."""
        ...


@runtime_checkable
class Energetic(SegmentationMethod, Protocol):
    """A method that reads its masks from similarities, and shows them."""

    def energy(
        self, query: Features, state: Any
    ) -> Mapping[str, Mapping[int, NDArray[np.float32]]]:
        """Return of each kind of similarity, stride -> the mean map (h, w) of one class."""
        ...


def at_size(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize soft masks (classes, h, w) to `size` = (height, width), bilinearly.

    Examples
    --------
    >>> at_size(torch.ones(2, 3, 3), (6, 4)).shape
    torch.Size([2, 6, 4])
    """
    if masks.shape[1:] == size:
        return masks
    return torch.nn.functional.interpolate(
        masks[None].float(), size, mode="bilinear", align_corners=False
    )[0]


def decide(masks: Tensor) -> NDArray[np.bool_]:
    """Give every pixel to its surest class, or to none: soft masks -> (classes, h, w) bool.

    A pixel that no class reaches with `CUT` is background; a tie goes to the class that comes
    first.

    Examples
    --------
    >>> decide(torch.tensor([[[0.6, 0.1, 0.7]], [[0.9, 0.2, 0.7]]])).astype(int).tolist()
    [[[0, 0, 1]], [[1, 0, 0]]]
    """
    if masks.ndim != 3 or not len(masks):
        raise InputError(f"soft masks {tuple(masks.shape)}: give (classes, height, width)")
    soft = np.asarray(masks)
    surest = soft.argmax(0)[None] == np.arange(len(soft))[:, None, None]
    decided: NDArray[np.bool_] = surest & (soft >= CUT)
    return decided
