"""GrabCut with seeds that everybody has: the middle of the photo, or a classifier's Grad-CAM.

What similarity attention has to beat where a support has labels and no masks
(`handful.methods.weak_segmentation`). C. Rother et al., "GrabCut", 2004; R. Selvaraju et al.,
"Grad-CAM", 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from handful.backbones import FeatureMaps
from handful.methods.baselines.gradcam import LinearClassifier, gradcam
from handful.methods.masks.grabcut import LIKELY, NOT, grabcut
from handful.methods.segmenter import Answer, Features, Image, Mask
from handful.methods.similarity_attention import weighted
from handful.methods.weak_segmentation import (
    MAP,
    PIXELS,
    ROUNDS,
    VECTOR,
    Shots,
    WeakSegmentation,
    small_pixels,
)

SHARE = 0.95
"""Sides of the rectangle in parts of the photo's: the best of .5, .7, .85 and .95 on 40 queries of
the validation classes (bottle, motorbike, sign, flower), by IoU .13, .27, .29 and .34."""


class CentreGrabCut:
    """Cut out whatever is in the middle of a photo, whichever class is asked for.

    What is outside a centred rectangle is surely ground, what is inside probably the object, as
    GrabCut takes a person's rectangle.

    Examples
    --------
    >>> method = CentreGrabCut()
    >>> photo = np.full((40, 40, 3), 40, np.uint8)
    >>> photo[10:30, 10:30] = (250, 200, 0)
    >>> int(method.answer(method.encode([photo])[0], [None]).masks.sum())
    400
    """

    name = "centre-grabcut"
    backbone = "none"
    threshold = 0.5
    uses_masks = False

    def encode(self, images: Sequence[Image]) -> list[Features]:
        """Keep the pixels of each photo, (H, W, 3) uint8, small."""
        return [{PIXELS: small_pixels(image)} for image in images]

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> None:
        """Learn nothing."""

    def answer(self, query: Features, states: Sequence[None]) -> Answer:
        """Give every class the same cut, and be sure of it: presence is 1."""
        pixels = query[PIXELS].numpy()
        height, width = pixels.shape[:2]
        top, left = round(height * (1 - SHARE) / 2), round(width * (1 - SHARE) / 2)
        hints = np.full((height, width), NOT, np.uint8)
        hints[top : height - top, left : width - left] = LIKELY
        cut = torch.from_numpy(grabcut(pixels, hints, ROUNDS)).float()
        return Answer(cut.expand(len(states), -1, -1), torch.ones(len(states)))


class GradCAMSegmentation(WeakSegmentation):
    """Seed GrabCut by the Grad-CAM of a linear classifier.

    By the classifier that the network itself ended in, where its weights hold one (torchvision's
    do): the map of the class that it gives the query. Such a map is the same whichever class is
    asked for. Other networks get a classifier of the examples, and each class is looked for by its
    own logit; that of a class that stands alone is the product of the embedding with the mean of
    its unit shots, which is how a nearest-mean classifier scores.

    Parameters
    ----------
    backbone : FeatureMaps
        With its weights loaded.
    name : str
        The name under which results quote it.

    Notes
    -----
    For one shot a class, the difference of the logits of two classes points from one shot to the
    other. Grad-CAM of it is then, but for the lengths of the vectors, what `WeakSegmentation`
    shows by its weights ``score``: only the network's own classifier makes a rival of it.
    """

    def __init__(self, backbone: FeatureMaps, name: str) -> None:
        super().__init__(backbone, name)
        self._own = None if backbone.classifier is None else LinearClassifier(*backbone.classifier)
        self._fitted: tuple[tuple[Shots, ...], Tensor] | None = None

    def attention(self, query: Features, states: Sequence[Shots]) -> Tensor:
        """Return Grad-CAM for each class, (classes, h, w), not negative."""
        maps = query[MAP].float()[None]
        if self._own is not None:
            shown = gradcam(maps, query[VECTOR][None], self._own, self._head)
            return shown.expand(len(states), -1, -1)
        gradient = self._head.adjoint(self._logits(states), (maps.shape[2], maps.shape[3]))
        return weighted(maps.expand(len(states), -1, -1, -1), gradient)

    def _logits(self, states: Sequence[Shots]) -> Tensor:
        """Return the weights of the classes' logits, (classes, D); fitted once for a support."""
        known = self._fitted
        if known is not None and [*map(id, known[0])] == [*map(id, states)]:
            return known[1]
        if len(states) == 1:
            logits = states[0].vectors.mean(0, keepdim=True)
        else:
            vectors = torch.cat([state.vectors for state in states])
            labels = [f"{place:06}" for place, s in enumerate(states) for _ in s.vectors]
            logits = LinearClassifier.fit(vectors, labels).weight
        self._fitted = tuple(states), logits
        return logits
