"""What OSLSM's two branches have above their backbones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from handful.methods.oslsm.hashing import WeightHashing
from handful.methods.oslsm.support import PixelClassifiers


class Conditioning(nn.Module):
    """Embeddings of masked supports -> m outputs -> {w, b} by hashing.

    Parameters
    ----------
    features, outputs, width : int
        Of the embedding; m; d.
    seed : int
        Of the hashing.
    view, size : int
        How supports are seen. It is kept with the weights: whoever uses them has to look alike.
    """

    sees: Tensor

    def __init__(
        self, features: int, outputs: int, width: int, seed: int, view: int, size: int
    ) -> None:
        super().__init__()
        self.classify = nn.Linear(features, outputs)
        with torch.no_grad():
            # a logit is a sum over d features: so it begins of one size, whatever d is
            self.classify.weight *= width**-0.5
        self.hashing = WeightHashing(outputs, width + 1, seed)
        self.sees = nn.Buffer(torch.tensor([size, view]))

    def forward(self, embeddings: Tensor) -> PixelClassifiers:
        """Map (K, features) to a logistic regression for each row."""
        both: Tensor = self.hashing(self.classify(embeddings))
        return PixelClassifiers(both[:, :-1], both[:, -1])


class Dense(nn.Module):
    """Maps of a backbone -> d features of every cell: two layers, as fc6 and fc7 of an FCN.

    Parameters
    ----------
    channels : mapping of str to int
        Of the maps it takes, the finest first; coarser ones are enlarged to that one's grid.
    width : int
        d.
    kernel : int
        Of the first layer, odd.
    """

    def __init__(self, channels: Mapping[str, int], width: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.ModuleDict(
            {
                name: nn.Conv2d(count, width, kernel, padding=kernel // 2, bias=place == 0)
                for place, (name, count) in enumerate(channels.items())
            }
        )
        self.second = nn.Conv2d(width, width, 1)

    def forward(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Map (N, C, h, w) of every layer to (N, d, h, w) on the finest one's grid."""
        x, *coarser = (layer(maps[name]) for name, layer in self.first.items())
        for part in coarser:
            # channels are mixed on the small grid: mixing and enlarging commute
            x = x + interpolate(part, x.shape[2:], mode="bilinear", align_corners=False)
        dense: Tensor = self.second(x.relu()).relu()
        return dense
