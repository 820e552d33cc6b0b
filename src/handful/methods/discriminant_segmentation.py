"""Segmentation without training: a linear discriminant between an object and what surrounds it.

Prototypes (means of the features of either side) are told apart by the cosine in
`handful.methods.prototype_segmentation`; here by Fisher's linear discriminant with the covariance
of the support's own pixels, so that directions in which pixels scatter anyhow count little.
R. Fisher, "The use of multiple measurements in taxonomic problems", 1936; the ridge as in
J. Friedman, "Regularized discriminant analysis", 1989.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate, normalize

from handful.backbones import FeatureMaps
from handful.errors import InputError
from handful.methods.dense_features import encode_maps, finest_first, presence_of
from handful.methods.prototype_segmentation import PrototypePair, PrototypeSegmentation
from handful.methods.segmenter import Answer, Features, Image, Mask

LAYERS, PRESENCE = ("stride8", "stride16"), "stride32"
"""Maps of handful-base by which pixels are told apart, and by which presence is told."""

COLOUR = "colour"
"""The mean colour of each cell, in [0, 1]: three more channels, where colour is what tells."""

RIDGE = 1.0
"""What is added to the covariance, in parts of its mean eigenvalue.

On 80 episodes of the validation classes (bottle, motorbike, sign, flower) .3, 1 and 10 differ by
one point of IoU (.413, .414, .404, without colours; prototypes of stride 16: .400). On 80 others
colours raise .338 to .393.
"""

STEPS = 101
"""Places of the plane that are tried, from the middle to the object's mean."""

FOLDS = 10
"""Parts of the examples that are left out in turn: each example alone where there are no more."""

THRESHOLD = 0.2
"""Presence from which a class is there: on 60 pairs of photos with and without a validation class
83 % of the first stay and 67 % of the second are answered empty (AUROC .84; at .3: 65 and 93 %).
"""


_Sides: TypeAlias = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of the object and of its ground: features (n, C) of cells, and their share of it (n,)."""


@dataclass(frozen=True)
class Discriminant:
    """One class: a plane between object and surroundings, and their prototypes.

    Attributes
    ----------
    weights : Tensor
        (C,), over the maps one after the other, then the colours.
    bias : Tensor
        (): a pixel x belongs where weights . x + bias is above 0.
    pair : PrototypePair
        For presence.
    evidence : Tensor
        (): how strongly the examples themselves show the class by `pair`, on average.
    """

    weights: Tensor
    bias: Tensor
    pair: PrototypePair
    evidence: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it under flat names, as safetensors keeps it."""
        own = {"weights": self.weights, "bias": self.bias, "evidence": self.evidence}
        return own | self.pair.tensors()

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Discriminant:
        """Return the discriminant whose `tensors` these are."""
        rest = dict(tensors)
        try:
            own = [rest.pop(name) for name in ("weights", "bias", "evidence")]
        except KeyError as error:
            raise InputError(f"a discriminant without {error}; fit again") from None
        return cls(own[0], own[1], PrototypePair.from_tensors(rest), own[2])


class DiscriminantSegmentation:
    """Tell every pixel's features apart by a plane that the support's pixels set.

    Parameters
    ----------
    backbone : FeatureMaps
        With its weights loaded.
    name : str
        The name under which results quote it.
    layers : sequence of str
        Maps of the backbone, the finest first; coarser ones are resized to it.
    presence : str
        The map by whose prototypes presence is told: a coarse one sees what a thing is.
    ridge : float
        See `RIDGE`; above 0.
    threshold : float
        Presence at or above which the class is said to be there.

    Examples
    --------
    >>> import numpy as np
    >>> from handful.backbones.handful_base import HandfulBase
    >>> method = DiscriminantSegmentation(HandfulBase().load(), "discriminant:handful-base")
    >>> photo = np.zeros((64, 64, 3), np.uint8)
    >>> photo[16:48, 16:48] = (255, 160, 0)
    >>> features = method.encode([photo])
    >>> state = method.condition(features, [(photo[..., 0] > 0).astype(np.uint8)])
    >>> method.answer(features[0], [state]).masks.shape
    torch.Size([1, 8, 8])
    """

    def __init__(
        self,
        backbone: FeatureMaps,
        name: str,
        layers: Sequence[str] = LAYERS,
        presence: str = PRESENCE,
        ridge: float = RIDGE,
        threshold: float = THRESHOLD,
    ) -> None:
        self.layers = finest_first(backbone, layers)
        # unscaled: what is looked at is the difference of the cosines
        self._presence = PrototypeSegmentation(backbone, name, (presence,), scale=1.0)
        self.network = backbone
        self.name = name
        self.backbone = backbone.name
        self.ridge = ridge
        self.threshold = threshold

    def encode(self, images: Sequence[Image]) -> list[dict[str, Tensor]]:
        """Return the maps and colours of photos, in half precision on the CPU."""
        wanted = {*self.layers, *self._presence.layers}
        mean, std = (torch.tensor(v)[:, None, None] for v in (self.network.mean, self.network.std))

        def run(pixels: Tensor) -> dict[str, Tensor]:
            maps = self.network(pixels)
            found = {layer: maps[layer] for layer in wanted}
            size = maps[self.layers[0]].shape[2:]
            colour = adaptive_avg_pool2d(pixels, (size[0], size[1]))
            return found | {COLOUR: colour * std.to(colour) + mean.to(colour)}

        return encode_maps(self.network, images, run)

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> Discriminant:
        """Return the plane of one class; all pixels of a side count alike, whatever their shot.

        Parameters
        ----------
        features : sequence of mapping
            Of each shot, what `encode` gave.
        masks : sequence of array
            (H, W) uint8, of any size: 1 the object, 0 not, 255 not counted.

        Raises
        ------
        InputError
            Another number of masks than of photos, or no mask with the object.
        """
        pair = self._presence.condition(features, masks)  # checks what is given
        shots = [self._sides(f, mask) for f, mask in zip(features, masks, strict=True)]
        folds = [shots[k::FOLDS] for k in range(min(FOLDS, len(shots)))]
        moments = [reduce(_Moments.plus, map(_Moments.of, fold)) for fold in folds]
        every = reduce(_Moments.plus, moments)
        weights, bias = every.plane(self.ridge)
        if len(folds) > 1:
            others = [(fold, every.minus(part)) for fold, part in zip(folds, moments, strict=True)]
            bias = bias - self._step(others) * every.height(weights, bias)
        showing = [f for f, mask in zip(features, masks, strict=True) if (mask == 1).any()]
        evidence = torch.cat([self._evidence(found, [pair]) for found in showing]).mean()
        return Discriminant(weights.float(), bias.float(), pair, evidence)

    def answer(self, query: Features, states: Sequence[Discriminant]) -> Answer:
        """Segment one query by several classes, on the grid of the finest layer.

        Presence is what the query shows of the class in parts of what the examples show, cut off
        at 0 and 1: small or faint objects are not held against a query whose examples are so too.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        states : sequence of Discriminant
            What `condition` gave.
        """
        maps = self._maps(query)
        weights = torch.stack([state.weights for state in states])
        bias = torch.stack([state.bias for state in states])
        total = torch.zeros(len(states), *maps[0].shape[1:]) + bias[:, None, None]
        # a weighted sum of resized maps is the resized weighted sum: few channels to resize
        start = 0
        for found in maps:
            own = weights[:, start : start + len(found)]
            total += _resized(torch.einsum("kc,chw->khw", own, found), total)
            start += len(found)
        evidence = self._evidence(query, [state.pair for state in states])
        usual = torch.stack([state.evidence for state in states]).clamp(min=1e-6)
        return Answer(total.sigmoid(), (evidence / usual).clamp(0, 1))

    def _evidence(self, features: Features, pairs: Sequence[PrototypePair]) -> Tensor:
        """Return by how much the surest cells are nearer to each object than to its ground."""
        return presence_of(self._presence.answer(features, pairs).masks.logit())

    def _maps(self, features: Features) -> list[Tensor]:
        """Return the layers, each cell of unit length, and the colours as they are."""
        layers = [normalize(features[layer].float(), dim=0) for layer in self.layers]
        return [*layers, features[COLOUR].float()]

    def _sides(self, features: Features, mask: Mask) -> _Sides:
        """Return the object's cells and the others of one shot, each with its share of it."""
        maps = self._maps(features)
        cells = torch.cat([_resized(layer, maps[0]) for layer in maps]).flatten(1).mT.double()
        grid = (maps[0].shape[1], maps[0].shape[2])
        found = []
        for value in (1, 0):
            of_value = torch.from_numpy(mask == value).float()[None]
            share = adaptive_avg_pool2d(of_value, grid).flatten()
            kept = share > 0
            found.append((cells[kept], share[kept].double()))
        return found[0], found[1]

    def _step(self, folds: Sequence[tuple[Sequence[_Sides], _Moments]]) -> float:
        """Return how far the plane goes from the middle to the object's mean, 0 to 1.

        It is what segments each example well by the plane of the others: the nearest of the
        places whose mean overlap is within a standard error of the best one's, as trees are
        pruned (L. Breiman et al., "Classification and regression trees", 1984, section 3.4.3).

        Parameters
        ----------
        folds : sequence of tuple
            Shots, and the moments of all others.
        """
        steps = torch.linspace(0, 1, STEPS, dtype=torch.float64)
        overlaps = []
        for fold, others in folds:
            if not bool((others.share > 0).all()):
                continue
            weights, bias = others.plane(self.ridge)
            levels = steps * others.height(weights, bias)
            for sides in fold:
                inside, outside = (
                    share @ (cells @ weights + bias > levels[:, None]).double().mT
                    for cells, share in sides
                )
                if float(sides[0][1].sum()) > 0:
                    overlaps.append(inside / (sides[0][1].sum() + outside))
        if len(overlaps) < 2:
            return 0.0
        overlap = torch.stack(overlaps)
        lost = overlap[:, overlap.mean(0).argmax()][:, None] - overlap
        error = lost.std(0) / len(lost) ** 0.5
        return float(steps[lost.mean(0) <= error][0])


@dataclass(frozen=True)
class _Moments:
    """Sums over the cells of the object and of its ground, each weighted by its share."""

    share: Tensor  # (2,)
    first: Tensor  # (2, C)
    second: Tensor  # (2, C, C)

    @classmethod
    def of(cls, sides: _Sides) -> _Moments:
        """Return those of one shot."""
        return cls(
            torch.stack([share.sum() for _, share in sides]),
            torch.stack([share @ cells for cells, share in sides]),
            torch.stack([(cells * share[:, None]).mT @ cells for cells, share in sides]),
        )

    def plus(self, other: _Moments) -> _Moments:
        """Return those of both."""
        return _Moments(
            self.share + other.share, self.first + other.first, self.second + other.second
        )

    def minus(self, other: _Moments) -> _Moments:
        """Return those of the shots that the other's are not of."""
        return _Moments(
            self.share - other.share, self.first - other.first, self.second - other.second
        )

    def means(self) -> Tensor:
        """Return the means (2, C) of object and ground."""
        return self.first / self.share.clamp(min=1e-12)[:, None]

    def plane(self, ridge: float) -> tuple[Tensor, Tensor]:
        """Return Fisher's weights (C,) and the bias of the plane half way between the means."""
        means = self.means()
        spread = self.second / self.share.clamp(min=1e-12)[:, None, None]
        covariance = (spread - means[:, :, None] * means[:, None, :]).mean(0)
        size = len(covariance)
        # a support of one cell scatters nowhere: then the prototypes alone decide
        added = max(ridge * float(covariance.trace()) / size, 1e-6)
        covariance = covariance + added * torch.eye(size, dtype=covariance.dtype)
        weights = torch.linalg.solve(covariance, means[0] - means[1])
        return weights, -weights @ (means[0] + means[1]) / 2

    def height(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Return how high the object's mean lies over a plane, ()."""
        return weights @ self.means()[0] + bias


def load(
    name: str = "discriminant:handful-base",
    device: str = "auto",
    backbone_weights: str | os.PathLike[str] | None = None,
) -> DiscriminantSegmentation:
    """Build the method by its name, ``discriminant`` or ``discriminant:BACKBONE``, with weights.

    Raises
    ------
    InputError
        A backbone without the maps that it needs, or weights that are missing.
    """
    from handful.backbones import build

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    network = build(name.partition(":")[2] or "handful-base").load(backbone_weights)
    if set(LAYERS) <= set(network.strides):
        return DiscriminantSegmentation(network.to(device), name)
    by_stride = {stride: layer for layer, stride in network.strides.items()}
    if not {8, 16, 32} <= set(by_stride):
        raise InputError(f"{name}: needs maps of strides 8, 16 and 32; choose another network")
    layers = (by_stride[8], by_stride[16])
    return DiscriminantSegmentation(network.to(device), name, layers, by_stride[32])


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    """Resize maps (n, h, w) to the grid of others, bilinearly."""
    size = (like.shape[1], like.shape[2])
    if maps.shape[1:] == size:
        return maps
    return interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]
