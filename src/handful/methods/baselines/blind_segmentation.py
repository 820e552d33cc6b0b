"""Answers that do not look: what any method of segmentation has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from handful.methods.segmenter import Answer, Features, Image, Mask

Guess = Literal["whole", "centre"]


class BlindSegmentation:
    """Guess the same region in every photo.

    Parameters
    ----------
    guess : {"whole", "centre"}
        All of the photo; or the rectangle of half its sides in its middle.

    Examples
    --------
    >>> import numpy as np
    >>> method = BlindSegmentation("centre")
    >>> photo, = method.encode([np.zeros((4, 8, 3), np.uint8)])
    >>> method.answer(photo, [None]).masks.int().tolist()[0][1]
    [0, 0, 1, 1, 1, 1, 0, 0]
    """

    uses_masks = False
    backbone = "none"
    threshold = 0.5

    def __init__(self, guess: Guess = "whole") -> None:
        self.name: str = guess

    def encode(self, images: Sequence[Image]) -> list[Features]:
        """Keep the size of each photo, as an empty map."""
        return [{"grid": torch.empty(0, *image.shape[:2])} for image in images]

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> None:
        """Learn nothing."""

    def answer(self, query: Features, states: Sequence[None]) -> Answer:
        """Guess, and be sure of it: presence is 1."""
        height, width = query["grid"].shape[1:]
        mask = torch.zeros(height, width)
        top, left = (height // 4, width // 4) if self.name == "centre" else (0, 0)
        mask[top : height - top, left : width - left] = 1
        return Answer(mask.expand(len(states), -1, -1), torch.ones(len(states)))
