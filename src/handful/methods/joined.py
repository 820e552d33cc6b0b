"""Several methods of segmentation that answer as one.

What was trained knows things and not these examples; what learns from the examples alone knows
their ground too. Their errors differ, and what both see is surer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from handful.methods.masks.states import JoinedState
from handful.methods.mshnet.blocks import resized
from handful.methods.segmenter import Answer, Features, Image, Mask, SegmentationMethod

SECONDED = 0.5
"""The say of every method after the first, whose say is one: chosen on validation classes."""

# no method is surer than one part in ten thousand
_SURE = 1e-4


class Joined:
    """Ask several methods: the mean of their logits, the first counts double.

    Parameters
    ----------
    parts : sequence of SegmentationMethod
        Two or more; each keeps its own features of a picture.
    name : str
        The name under which results quote it, such as ``mshnet-light+clusters``.
    threshold : float
        Presence at or above which the class is said to be there.

    Attributes
    ----------
    backbone : str
        The networks that the parts stand on.

    Examples
    --------
    >>> import numpy as np
    >>> from handful.methods.segmenters import load
    >>> method = load("prototypes+clusters")
    >>> photo = np.zeros((64, 64, 3), np.uint8)
    >>> photo[16:48, 16:48] = (255, 160, 0)
    >>> features = method.encode([photo])
    >>> state = method.condition(features, [(photo[..., 0] > 0).astype(np.uint8)])
    >>> (method.answer(features[0], [state]).masks[0] >= 0.5).int().tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """

    def __init__(
        self, parts: Sequence[SegmentationMethod], name: str, threshold: float = 0.5
    ) -> None:
        self.parts = list(parts)
        self.name = name
        self.backbone = "+".join(dict.fromkeys(part.backbone for part in parts))
        self.threshold = threshold
        sides = [part.side for part in parts if hasattr(part, "side")]
        if sides:
            self.side: int = sides[0]

    def encode(self, images: Sequence[Image]) -> list[dict[str, Tensor]]:
        """Return what every part keeps of photos, under the part's number."""
        each = [part.encode(images) for part in self.parts]
        return [
            {
                f"{number}/{name}": value
                for number, found in enumerate(of_photo)
                for name, value in found.items()
            }
            for of_photo in zip(*each, strict=True)
        ]

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> JoinedState:
        """Let every part learn a class, see `SegmentationMethod.condition`."""
        return JoinedState(
            tuple(
                part.condition([_of(number, found) for found in features], masks)
                for number, part in enumerate(self.parts)
            )
        )

    def answer(self, query: Features, states: Sequence[JoinedState]) -> Answer:
        """Segment one query by several classes, on the finest grid that a part has.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        states : sequence of JoinedState
            What `condition` gave.
        """
        answers = [
            part.answer(_of(number, query), [state.parts[number] for state in states])
            for number, part in enumerate(self.parts)
        ]
        grids = [(answer.masks.shape[1], answer.masks.shape[2]) for answer in answers]
        finest = max(grids, key=lambda grid: grid[0] * grid[1])
        masks = [resized(answer.masks[None], finest)[0] for answer in answers]
        return Answer(_mean(masks), _mean([answer.presence for answer in answers]))


def _mean(shares: Sequence[Tensor]) -> Tensor:
    """Return the mean of probabilities of one shape by their logits.

    Examples
    --------
    >>> _mean([torch.tensor([0.5, 0.8]), torch.tensor([0.5, 0.8])])
    tensor([0.5000, 0.8000])
    """
    logits = torch.stack([share.float().clamp(_SURE, 1 - _SURE).logit() for share in shares])
    weights = logits.new_tensor([1.0] + [SECONDED] * (len(logits) - 1))
    return torch.einsum("n,n...->...", weights / weights.sum(), logits).sigmoid()


def _of(number: int, features: Features) -> dict[str, Tensor]:
    """Return what a part keeps of a photo."""
    start = f"{number}/"
    return {name[len(start) :]: value for name, value in features.items() if name.startswith(start)}
