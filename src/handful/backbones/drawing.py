"""A compact residual network for drawings and characters: ink in, one vector out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handful.backbones.embedder import Image, NetworkEmbedder
from handful.images.ink import ink, ink_box


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (K. He et al., 2016, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            # an odd side is rounded up here as the convolution rounds it
            pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
            thin = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.shortcut = nn.Sequential(pool, thin, nn.BatchNorm2d(outputs))
        else:
            # a block that begins as the identity trains sooner
            nn.init.zeros_(self.second_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(y)) + self.shortcut(x))


class DrawingNet(nn.Module):
    """Residual stages, then a pooling that knows positions.

    Every channel of the last map is summed under `views` learned weightings of its positions: a
    stroke at the top and the same stroke at the bottom give different vectors, which a mean over
    positions would not tell apart.

    Parameters
    ----------
    size : int
        Side of the input in pixels.
    widths : sequence of int
        Channels of the stages; the stem halves the side, and so does every later stage.
    depths : sequence of int
        Blocks of each stage.
    views : int
        Weightings of each channel; the vector has ``widths[-1] * views`` dimensions.

    Examples
    --------
    >>> network = DrawingNet(size=56)
    >>> network(torch.zeros(2, 1, 56, 56)).shape
    torch.Size([2, 512])
    """

    def __init__(
        self,
        size: int = 56,
        widths: Sequence[int] = (32, 64, 128),
        depths: Sequence[int] = (1, 2, 2),
        views: int = 4,
    ) -> None:
        super().__init__()
        self.size = size
        channels = widths[0]
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, 5, 2, 2, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        blocks, side = [], (size + 1) // 2
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for block in range(depth):
                stride = 2 if stage and not block else 1
                side = (side + stride - 1) // stride
                blocks.append(ResidualBlock(channels, width, stride))
                channels = width
        self.body = nn.Sequential(*blocks)
        self.positions = nn.Parameter(torch.empty(channels, views, side * side))
        nn.init.normal_(self.positions, 1 / side**2, 1 / side**2)
        self.features = channels * views
        self.norm = nn.BatchNorm1d(self.features)
        self.to(memory_format=torch.channels_last)

    def forward(self, ink: Tensor) -> Tensor:
        """Map ink (N, 1, size, size) in [0, 1] to vectors (N, features)."""
        return self.pool(self.maps(ink))

    def maps(self, ink: Tensor) -> Tensor:
        """Map ink (N, 1, size, size) to the last map (N, channels, size / stride, ...)."""
        maps: Tensor = self.body(self.stem(ink.contiguous(memory_format=torch.channels_last)))
        return maps

    def pool(self, maps: Tensor) -> Tensor:
        """Map the last map to vectors (N, features)."""
        # half precision is widened, double precision kept
        kind = torch.promote_types(maps.dtype, torch.float32)
        pooled = torch.einsum("ncp,cvp->ncv", maps.to(kind).flatten(2), self.positions.to(kind))
        vector: Tensor = self.norm(pooled.flatten(1))
        return vector


def drawing_embedder(
    network: DrawingNet, margin: float | None, device: str = "cpu"
) -> NetworkEmbedder:
    """Embed decoded pictures by their strokes.

    Parameters
    ----------
    network : DrawingNet
        With its weights loaded.
    margin : float or None
        Border around the strokes' box, see :func:`handful.images.ink`.
    device : str
        Where it runs.
    """

    def prepare(image: Image) -> NDArray[np.float32]:
        return ink(image, network.size, margin)[None]

    return NetworkEmbedder(
        network, prepare, "drawing-net", device, place=partial(ink_box, margin=margin)
    )
