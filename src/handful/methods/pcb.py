"""PCB, the part-based convolutional baseline of re-identification.

Y. Sun, L. Zheng, Y. Yang, Q. Tian, S. Wang, "Beyond part models: person retrieval with refined
part pooling (and a strong convolutional baseline)", ECCV 2018, section 3.1. The last map T is cut
into p = 6 horizontal stripes; the mean of a stripe is its part vector g_i, a 1 x 1 convolution
reduces it to h_i of 256, and each h_i has a classifier of its own, with the sum of the p cross
entropies for a loss. At test the parts are put side by side into one descriptor.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy, normalize, relu

from handful.backbones.embedder import NetworkEmbedder
from handful.backbones.features import FeatureMaps
from handful.errors import InputError
from handful.images import resize
from handful.methods.matcher import Image

Parts: TypeAlias = Literal["pooled", "reduced"]

SIZE = (384, 128)
"""Height and width of the network's input in the paper: people stand."""


class PCB(nn.Module):
    """The head on any backbone.

    Parameters
    ----------
    backbone : FeatureMaps
        Gives the map; the paper's is ResNet-50 without its last downsampling
        (``timm:resnet50`` with ``output_stride=16``).
    classes : int
        Identities to learn from.
    parts : int
        p, the number of stripes.
    width : int
        Dimensions of h_i.
    tap : str, optional
        The name of the map T; the deepest one by default.

    Notes
    -----
    The reduction is shared by all stripes and followed by batch norm and ReLU, as in the
    authors' code; a map whose height is no multiple of p is cut into stripes that overlap by
    less than a row.

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
        if min(classes, parts, width) < 1:
            raise InputError(f"PCB: {classes} classes, {parts} parts of {width}: each at least 1")
        self.backbone, self.tap, self.parts = backbone, tap, parts
        reduce, heads = nn.Conv2d(backbone.channels[tap], width, 1, bias=False), []
        nn.init.kaiming_normal_(reduce.weight, mode="fan_out")
        for _ in range(parts):
            heads.append(nn.Linear(width, classes))
            nn.init.normal_(heads[-1].weight, std=0.001)
            nn.init.zeros_(heads[-1].bias)
        self.reduction = nn.Sequential(reduce, nn.BatchNorm2d(width))
        self.classifiers = nn.ModuleList(heads)

    def pooled(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to the part vectors g, (N, channels, parts, 1)."""
        return adaptive_avg_pool2d(self.backbone(x)[self.tap], (self.parts, 1))

    def reduced(self, g: Tensor) -> Tensor:
        """Map part vectors g (N, channels, parts, 1) to h, (N, width, parts, 1)."""
        return relu(self.reduction(g))

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to the logits of each part, (N, parts, classes)."""
        parts = self.reduced(self.pooled(x))[..., 0].unbind(2)
        each = [layer(h) for layer, h in zip(self.classifiers, parts, strict=True)]
        return torch.stack(each, dim=1)

    def describe(self, x: Tensor, parts: Parts = "pooled") -> Tensor:
        """Map normalised pixels (N, 3, H, W) to unit descriptors.

        Parameters
        ----------
        x : Tensor
            (N, 3, H, W).
        parts : {"pooled", "reduced"}
            G = [g_1 ... g_p], (N, parts * channels), as a rule a little better; or
            H = [h_1 ... h_p], (N, parts * width), eight times as short with ResNet-50.
        """
        g = self.pooled(x)
        columns = g if parts == "pooled" else self.reduced(g)
        return normalize(columns[..., 0].mT.flatten(1).float(), dim=1)


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
        See :meth:`PCB.describe`.
    batch : int
        Photos at once.
    """
    mean = np.array(network.backbone.mean, np.float32) * 255
    factor = 1 / (np.array(network.backbone.std, np.float32) * 255)

    def prepare(image: Image) -> NDArray[np.float32]:
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        planes = ((resize(image, size) - mean) * factor).transpose(2, 0, 1)
        return np.ascontiguousarray(planes, np.float32)

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
