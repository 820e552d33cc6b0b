"""The learned part of MSHNet: from similarities to masks (section 4.3, figures 2 and 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

Kind = Literal["prototype", "cosine"]

DROPOUT = 0.2
GATE_RATIO = 4


@dataclass(frozen=True)
class Widths:
    """Channels of the head.

    Attributes
    ----------
    prototype, cosine : int
        Of the two similarities' own branches.
    merge : int
        Of a merging block's output, and of the decoder.
    fusion : int
        Of the fusions of two blocks.
    output : int
        Between the two convolutions that end in foreground and background.
    """

    prototype: int = 128
    cosine: int = 256
    merge: int = 256
    fusion: int = 512
    output: int = 128


PAPER = Widths()
LIGHT = Widths(prototype=32, cosine=64, merge=64, fusion=128, output=32)


class ConvNormRelu(nn.Sequential):
    """A convolution with bias that keeps the size, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2 * dilation, dilation=dilation),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Atrous(nn.Module):
    """Three views of one map, of growing reach, joined: 1x1, 3x3 dilated by 2 and by 4."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.views = nn.ModuleList(
            [
                ConvNormRelu(width, width, 1),
                ConvNormRelu(width, width, dilation=2),
                ConvNormRelu(width, width, dilation=4),
            ]
        )
        self.join = ConvNormRelu(3 * width, width)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Map (P, width, h, w) to (P, width, h, w)."""
        joined: Tensor = self.join(torch.cat([view(x) for view in self.views], 1))
        dropped: Tensor = self.dropout(joined)
        return dropped


class Branch(nn.Module):
    """One similarity's own part of a merging block: Block-Conv, the mean over shots, Shot-Conv.

    Parameters
    ----------
    layers : int
        Similarity maps of a shot.
    width : int
        Channels.
    atrous : bool
        Whether Shot-Conv looks at three scales, or is one convolution.
    """

    def __init__(self, layers: int, width: int, atrous: bool) -> None:
        super().__init__()
        self.block = nn.Sequential(ConvNormRelu(layers, width, 1), ConvNormRelu(width, width))
        self.shot: nn.Module = Atrous(width) if atrous else ConvNormRelu(width, width)

    def forward(self, similarities: Tensor, shots: Sequence[int]) -> Tensor:
        """Map (sum of shots, layers, h, w) to (P, width, h, w), for P tasks of so many shots."""
        x: Tensor = self.block(similarities)
        if any(count > 1 for count in shots):
            x = torch.stack([part.mean(0) for part in torch.split(x, list(shots))])
        merged: Tensor = self.shot(x)
        return merged


class Gate(nn.Module):
    """Channel attention: each channel times a number in (0, 1) (S. Woo et al., CBAM, eq. 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(
            nn.Linear(channels, channels // GATE_RATIO),
            nn.ReLU(inplace=True),
            nn.Linear(channels // GATE_RATIO, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (P, channels, h, w) to (P, channels, h, w)."""
        level = self.dense(x.mean((2, 3))) + self.dense(x.amax((2, 3)))
        gated: Tensor = x * level.sigmoid()[..., None, None]
        return gated


class SymmetricMerging(nn.Module):
    """The symmetric merging block: the layers, shots and kinds of similarity of one stride.

    Parameters
    ----------
    layers : int
        Similarity maps of a shot and kind.
    kinds : sequence of {"prototype", "cosine"}
        The similarities there are.
    widths : Widths
        Channels.
    """

    def __init__(self, layers: int, kinds: Sequence[Kind], widths: Widths) -> None:
        super().__init__()
        width = {"prototype": widths.prototype, "cosine": widths.cosine}
        self.branches = nn.ModuleDict(
            {kind: Branch(layers, width[kind], atrous=kind == "prototype") for kind in kinds}
        )
        self.project = nn.ModuleDict(
            {kind: nn.Conv2d(width[kind], widths.merge, 1) for kind in kinds}
        )
        self.mix = ConvNormRelu(widths.merge, widths.merge)
        self.gate = Gate(widths.merge)
        self.refine = ConvNormRelu(widths.merge, widths.merge)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, similarities: Mapping[Kind, Tensor], shots: Sequence[int]) -> Tensor:
        """Map each kind's (sum of shots, layers, h, w) to (P, merge, h, w)."""
        projected = [
            self.project[kind](branch(similarities[kind], shots))  # type: ignore[index]
            for kind, branch in self.branches.items()
        ]
        merged: Tensor = self.refine(self.gate(self.mix(sum(projected[1:], projected[0]))))
        dropped: Tensor = self.dropout(merged)
        return dropped


class Fusion(nn.Module):
    """Join a coarser map, brought to the finer one's size, with the finer one.

    Parameters
    ----------
    inputs : tuple of int
        Channels of the coarser and of the finer map.
    width : int
        Channels of the result.
    refined : bool
        Whether the coarser map has been through a fusion before: a 3x3 convolution with batch
        norm and ReLU takes the place of its 1x1 projection.
    """

    def __init__(self, inputs: tuple[int, int], width: int, refined: bool) -> None:
        super().__init__()
        coarse, fine = inputs
        self.coarse = ConvNormRelu(coarse, width) if refined else nn.Conv2d(coarse, width, 1)
        self.fine = nn.Conv2d(fine, width, 1)
        self.join = ConvNormRelu(2 * width, width)
        self.refine = ConvNormRelu(width, width)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Map (P, a, h, w) and (P, b, H, W) to (P, width, H, W)."""
        coarse = self.coarse(resized(coarse, (fine.shape[2], fine.shape[3])))
        fused: Tensor = self.refine(self.join(torch.cat([coarse, self.fine(fine)], 1)))
        return fused


class Decoder(nn.Module):
    """The last fusion's map, refined: 1x1, a residual 3x3, a 3x3."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.reduce = ConvNormRelu(inputs, width, 1)
        self.residual = ConvNormRelu(width, width)
        self.refine = ConvNormRelu(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (P, inputs, h, w) to (P, width, h, w)."""
        x = self.reduce(x)
        refined: Tensor = self.refine(x + self.residual(x))
        return refined


class Classifier(nn.Sequential):
    """Background and foreground of every pixel, as logits."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2, 3, padding=1),
        )


class Head(nn.Module):
    """Merging blocks, the inverted pyramid that joins them from coarse to fine, and masks.

    Parameters
    ----------
    layers : sequence of int
        Maps of the three levels, from fine to coarse.
    kinds : sequence of {"prototype", "cosine"}
        The similarities there are.
    widths : Widths
        Channels.
    """

    def __init__(self, layers: Sequence[int], kinds: Sequence[Kind], widths: Widths) -> None:
        super().__init__()
        self.merges = nn.ModuleList([SymmetricMerging(n, kinds, widths) for n in layers])
        self.fusions = nn.ModuleList(
            [
                Fusion((widths.fusion, widths.merge), widths.fusion, refined=True),
                Fusion((widths.merge, widths.merge), widths.fusion, refined=False),
            ]
        )
        self.decoder = Decoder(widths.fusion, widths.merge)
        self.classify = Classifier(widths.merge, widths.output)
        self.inner = nn.ModuleList([Classifier(widths.merge, widths.output) for _ in layers])

    def forward(
        self, similarities: Sequence[Mapping[Kind, Tensor]], shots: Sequence[int], inner: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the logits (P, 2, 2 h, 2 w) and, where asked, each merging block's own.

        Parameters
        ----------
        similarities : sequence of mapping
            Of each level, from fine to coarse: each kind's (sum of shots, layers, h, w).
        shots : sequence of int
            Of each of the P tasks.
        inner : bool
            Whether to compute the merging blocks' own logits, (P, 2, h, w) each.
        """
        merged = [
            merge(level, shots) for merge, level in zip(self.merges, similarities, strict=True)
        ]
        fine, middle, coarse = merged
        x = self.decoder(self.fusions[0](self.fusions[1](coarse, middle), fine))
        logits: Tensor = self.classify(resized(x, (2 * x.shape[2], 2 * x.shape[3])))
        if not inner:
            return logits, []
        return logits, [classify(x) for classify, x in zip(self.inner, merged, strict=True)]


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a map (N, C, h, w): bilinear, with aligned corners, as strided convolutions sample."""
    return interpolate(x, size, mode="bilinear", align_corners=True)
