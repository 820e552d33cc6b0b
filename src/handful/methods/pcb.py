"""PCB, the part-based convolutional baseline of re-identification.

Y. Sun, L. Zheng, Y. Yang, Q. Tian, S. Wang, "Beyond part models: person retrieval with refined
part pooling (and a strong convolutional baseline)", ECCV 2018, section 3.1. The last map T is cut
into p = 6 horizontal stripes; the mean of a stripe is its part vector g_i, a 1 x 1 convolution
reduces it to h_i of 256, and each h_i has a classifier of its own, with the sum of the p cross
entropies for a loss. At test the parts are put side by side into one descriptor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    cross_entropy,
    normalize,
    relu,
)

from handful.backbones.cut import Cut
from handful.backbones.embedder import NetworkEmbedder
from handful.backbones.features import FeatureMaps
from handful.backbones.photos import preparation
from handful.backbones.tail import Tail
from handful.errors import InputError

Parts: TypeAlias = Literal["pooled", "reduced"]

SIZE = (384, 128)
"""Height and width of the network's input in the paper: people stand."""


class PartHead(nn.Module):
    """What PCB makes of a map: parts, their reduction, and a classifier for each.

    Parameters
    ----------
    channels : int
        Of the map T.
    classes : int
        Identities to learn from.
    parts : int
        p, the number of stripes.
    width : int
        Dimensions of h_i.

    Notes
    -----
    The reduction is shared by all stripes and followed by batch norm and ReLU, as in the
    authors' code; a map whose height is no multiple of p is cut into stripes that overlap by
    less than a row.

    Examples
    --------
    >>> head = PartHead(8, classes=10).eval()
    >>> head(torch.zeros(2, 8, 12, 4)).shape, head.describe(torch.ones(2, 8, 12, 4)).shape
    (torch.Size([2, 6, 10]), torch.Size([2, 48]))
    """

    def __init__(self, channels: int, classes: int, parts: int = 6, width: int = 256) -> None:
        super().__init__()
        if min(classes, parts, width) < 1:
            raise InputError(f"PCB: {classes} classes, {parts} parts of {width}: each at least 1")
        self.parts = parts
        reduce, heads = nn.Conv2d(channels, width, 1, bias=False), []
        nn.init.kaiming_normal_(reduce.weight, mode="fan_out")
        for _ in range(parts):
            heads.append(nn.Linear(width, classes))
            nn.init.normal_(heads[-1].weight, std=0.001)
            nn.init.zeros_(heads[-1].bias)
        self.reduction = nn.Sequential(reduce, nn.BatchNorm2d(width))
        self.classifiers = nn.ModuleList(heads)

    def reduced(self, g: Tensor) -> Tensor:
        """Map part vectors g (N, channels, parts, 1) to h, (N, width, parts, 1)."""
        return relu(self.reduction(g))

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, channels, h, w) to the logits of each part, (N, parts, classes)."""
        parts = self.reduced(stripes(maps, self.parts))[..., 0].unbind(2)
        each = [layer(h) for layer, h in zip(self.classifiers, parts, strict=True)]
        return torch.stack(each, dim=1)

    def describe(self, maps: Tensor, parts: Parts = "pooled") -> Tensor:
        """Map (N, channels, h, w) to unit descriptors.

        Parameters
        ----------
        maps : Tensor
            T, (N, channels, h, w).
        parts : {"pooled", "reduced"}
            G = [g_1 ... g_p], (N, parts * channels), as a rule a little better; or
            H = [h_1 ... h_p], (N, parts * width), eight times as short with ResNet-50.
        """
        g = stripes(maps, self.parts)
        return descriptor(g if parts == "pooled" else self.reduced(g))


def stripes(maps: Tensor, parts: int) -> Tensor:
    """Return the part vectors g, (N, channels, parts, 1), of maps (N, channels, h, w)."""
    return adaptive_avg_pool2d(maps, (parts, 1))


def descriptor(columns: Tensor) -> Tensor:
    """Put part vectors (N, width, parts, 1) side by side into unit vectors, (N, parts * width)."""
    return normalize(_side_by_side(columns).float(), dim=1)


def _side_by_side(columns: Tensor) -> Tensor:
    return columns[..., 0].mT.flatten(1)


@dataclass(frozen=True)
class StripesHead:
    """The part vectors side by side, of any length: what makes G of the map T.

    See `handful.backbones.cut.LinearHead`: with it, similarity attention has a closed form.

    Attributes
    ----------
    parts : int
        p, the number of stripes.

    Examples
    --------
    >>> head = StripesHead(2)
    >>> maps = torch.arange(4.0).view(1, 1, 4, 1)
    >>> head(maps).tolist(), head.adjoint(torch.tensor([[2.0, 4.0]]), (4, 1)).flatten().tolist()
    ([[0.5, 2.5]], [1.0, 1.0, 2.0, 2.0])
    """

    parts: int

    def __call__(self, maps: Tensor) -> Tensor:
        """Map (N, C, H, W) to vectors (N, parts * C)."""
        return _side_by_side(stripes(maps, self.parts))

    def adjoint(self, gradient: Tensor, size: tuple[int, int]) -> Tensor:
        """Bring gradients (N, parts * C) back to the map: (N, C, H, W)."""
        rows = torch.eye(size[0], dtype=gradient.dtype, device=gradient.device)
        share = adaptive_avg_pool1d(rows, self.parts) / size[1]  # (H, parts)
        by_row: Tensor = share @ gradient.reshape(len(gradient), self.parts, -1)
        return by_row.mT[..., None].expand(-1, -1, -1, size[1])


class PCB(nn.Module):
    """The head on any backbone.

    Parameters
    ----------
    backbone : FeatureMaps
        Gives the map; the paper's is ResNet-50 without its last downsampling
        (``timm:resnet50`` with ``output_stride=16``).
    classes, parts, width : int
        Of its `PartHead`.
    tap : str, optional
        The name of the map T; the deepest one by default.

    Examples
    --------
    >>> from handful.backbones import build
    >>> network = PCB(build("handful-base"), classes=10).eval()
    >>> pixels = torch.zeros(2, 3, 192, 64)
    >>> network(pixels).shape, network.describe(pixels).shape
    (torch.Size([2, 6, 10]), torch.Size([2, 7680]))
    >>> network.describe(pixels, "reduced").shape
    torch.Size([2, 1536])
    """

    def __init__(
        self,
        backbone: FeatureMaps,
        classes: int,
        parts: int = 6,
        width: int = 256,
        tap: str | None = None,
    ) -> None:
        super().__init__()
        tap = list(backbone.channels)[-1] if tap is None else tap
        if tap not in backbone.channels:
            there = ", ".join(backbone.channels)
            raise InputError(f"{backbone.name}: has no map {tap!r}; there are {there}")
        self.backbone, self.tap = backbone, tap
        self.head = PartHead(backbone.channels[tap], classes, parts, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to the logits of each part, (N, parts, classes)."""
        logits: Tensor = self.head(self.backbone(x)[self.tap])
        return logits

    def describe(self, x: Tensor, parts: Parts = "pooled") -> Tensor:
        """Map normalised pixels (N, 3, H, W) to unit descriptors; see `PartHead.describe`."""
        return self.head.describe(self.backbone(x)[self.tap], parts)


class TunedParts(nn.Module):
    """A backbone whose tail PCB trained: pixels to unit descriptors G.

    Parameters
    ----------
    tail : Tail
        Gives the map T.
    parts : int
        p, the number of stripes.
    """

    def __init__(self, tail: Tail, parts: int) -> None:
        super().__init__()
        self.layers, self.trunk, self.head = (
            tail.layers.eval(),
            tail.whole_trunk,
            StripesHead(parts),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to unit descriptors (N, parts * channels)."""
        return normalize(self._both(x)[1].float(), dim=1)

    def _both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.layers(self.trunk(x))
        return maps, self.head(maps)

    def cut(self) -> Cut:
        """Return the network, cut at its last map."""
        return Cut(self._both, self.head)


def pcb_loss(logits: Tensor, identity: Tensor) -> Tensor:
    """Return the sum over the parts of their cross entropies, each averaged over the batch.

    Parameters
    ----------
    logits : Tensor
        (N, parts, classes), as `PCB` gives them.
    identity : Tensor
        (N,) int64.

    Examples
    --------
    >>> loss = pcb_loss(torch.zeros(4, 6, 10), torch.arange(4))  # 6 log 10
    >>> round(float(loss), 4)
    13.8155
    """
    parts = logits.shape[1]
    return parts * cross_entropy(logits.flatten(0, 1), identity.repeat_interleave(parts))


def pcb_embedder(
    network: PCB,
    size: tuple[int, int] = SIZE,
    device: str = "cpu",
    parts: Parts = "pooled",
    batch: int = 16,
) -> NetworkEmbedder:
    """Embed decoded photos by PCB: what `handful.methods.prototypes.Prototypes` compares.

    Parameters
    ----------
    network : PCB
        With its weights loaded.
    size : (int, int)
        Height and width to which every photo is brought, in pixels.
    device : str
        Where it runs.
    parts : {"pooled", "reduced"}
        See :meth:`PartHead.describe`.
    batch : int
        Photos at once.
    """
    prepare = preparation(network.backbone, size)
    name = f"pcb:{network.backbone.name}"
    embedder = NetworkEmbedder(_Described(network, parts), prepare, name, device, batch)
    embedder.side = max(size)
    return embedder


class _Described(nn.Module):
    """The descriptor alone: what a `NetworkEmbedder` runs."""

    def __init__(self, network: PCB, parts: Parts) -> None:
        super().__init__()
        self.network, self.parts = network, parts

    def forward(self, x: Tensor) -> Tensor:
        return self.network.describe(x, self.parts)
