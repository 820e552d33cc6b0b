"""`handful-base`: the bundled network for photos, MobileNetV2 with its batch norms folded.

M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", 2018, table 2. Where
the weights come from is in ``zoo/weights/handful-base.NOTICE``; `convert_base` makes them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, relu6

from handful import zoo
from handful.backbones.embedder import NetworkEmbedder
from handful.backbones.features import FeatureMaps
from handful.backbones.photos import Fit, photo_embedder_of

NAME = "handful-base"
FEATURES = 512
MEAN, STD = (0.498, 0.498, 0.498), (0.5, 0.5, 0.5)

# expansion, channels, blocks, stride of the first: the paper's t, c, n, s
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, HEAD = 32, 1280

# the map of a stride is the last block before the next halving
_MAPS = {5: "stride8", 12: "stride16", 16: "stride32"}


class Convolution(nn.Conv2d):
    """A convolution with bias, padded as TensorFlow's ``SAME``: ceil(side / stride) cells.

    At stride 2 an even side is padded at its end alone.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        if self.stride[0] == 1:
            return super().forward(x)
        # zeros before the kernel shift it by a pixel, and the map need not be copied to be padded
        height, width = x.shape[-2:]
        kernel = pad(self.weight, (1 - width % 2, 0, 1 - height % 2, 0))
        return conv2d(x, kernel, self.bias, self.stride, 1, groups=self.groups)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; the input is added where the shape allows it."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = Convolution(inputs, wide) if expansion > 1 else None
        self.depthwise = Convolution(wide, wide, 3, stride, groups=wide)
        self.project = Convolution(wide, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        y: Tensor = x if self.expand is None else relu6(self.expand(x), inplace=True)
        y = self.project(relu6(self.depthwise(y), inplace=True))
        return y.add_(x) if self.residual else y


class Trunk(nn.Module):
    """Everything but the classifier, and a projection in its place.

    2,206,816 parameters in the trunk after folding, 655,360 in the projection.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        blocks, inputs = [], STEM
        for expansion, outputs, repeats, first in STAGES:
            for index in range(repeats):
                stride = first if index == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, expansion, stride))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(inputs, HEAD)
        self.projection = nn.Linear(HEAD, FEATURES, bias=False)
        # the layout of the weights becomes that of the maps; see benchmarks/backbone_speed.py
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map normalised pixels (N, 3, H, W) to the four maps."""
        x = relu6(self.stem(x), inplace=True)
        maps = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in _MAPS:
                maps[_MAPS[index]] = x
        maps["head"] = relu6(self.head(x), inplace=True)
        return maps


class HandfulBase(FeatureMaps):
    """MobileNetV2 as feature maps, and an embedding of 512 dimensions.

    The maps ``stride8``, ``stride16`` and ``stride32`` are linear bottlenecks (32, 96 and 320
    channels, of either sign); ``head`` is the last map (stride 32, 1,280 channels in [0, 6]),
    whose mean over positions is projected to the embedding.

    Examples
    --------
    >>> network = HandfulBase().load()
    >>> {name: tuple(found.shape) for name, found in network(torch.zeros(1, 3, 96, 96)).items()}
    {'stride8': (1, 32, 12, 12), 'stride16': (1, 96, 6, 6), 'stride32': (1, 320, 3, 3), \
'head': (1, 1280, 3, 3)}
    >>> network.embed(torch.zeros(1, 3, 96, 96)).shape
    torch.Size([1, 512])
    """

    network: Trunk

    def __init__(self, frozen: bool = True) -> None:
        super().__init__(
            NAME,
            Trunk(),
            strides={"stride8": 8, "stride16": 16, "stride32": 32, "head": 32},
            channels={"stride8": 32, "stride16": 96, "stride32": 320, "head": HEAD},
            features=FEATURES,
            mean=MEAN,
            std=STD,
            frozen=frozen,
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map normalised pixels (N, 3, H, W) to maps (N, channels, ~H/stride, ~W/stride)."""
        maps: dict[str, Tensor] = self.network(x)
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to vectors (N, 512), of any length."""
        vectors: Tensor = self.network.projection(self.pooled(x))
        return vectors

    def pooled(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to what is projected, (N, 1280) in [0, 6]."""
        return torch.mean(self.network(x)["head"], dim=(2, 3))

    def _download(self) -> Path:
        return zoo.weights(NAME)


def photo_embedder(size: int = 192, device: str = "cpu", fit: Fit = "squash") -> NetworkEmbedder:
    """Return `handful-base` with its bundled weights, ready to embed decoded photos.

    Parameters
    ----------
    size : int
        Side of the network's input in pixels.
    device : str
        Where it runs.
    fit : {"squash", "crop"}
        How a photo becomes a square, see `handful.backbones.photos`.

    Examples
    --------
    >>> import numpy as np
    >>> embedder = photo_embedder()
    >>> vectors = embedder.embed([np.zeros((120, 90, 3), np.uint8)])
    >>> vectors.shape, round(float(vectors.norm()), 4)
    (torch.Size([1, 512]), 1.0)
    """
    return photo_embedder_of(HandfulBase().load(), size, device, fit)
