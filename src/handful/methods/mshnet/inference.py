"""The same MSHNet with fewer multiplications: every rewrite here is exact in real numbers.

- Batch norms are folded into the convolutions before them.
- A 1x1 convolution that a 3x3 one follows becomes part of it; what its bias adds is smaller where
  the 3x3 one sees the padding, so that part is a map.
- A 3x3 convolution of an enlarged map takes its products on the small map, and enlarges the
  results: interpolation mixes places, the weights mix channels, and the two commute.
- The remaining wide 3x3 convolutions take Winograd's form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad
from torch.nn.utils.fusion import fuse_conv_bn_eval

from handful.backbones.folding import fold_batch_norms
from handful.methods.mshnet.blocks import Classifier, ConvNormRelu, Fusion, Head, Kind
from handful.methods.mshnet.network import MSHNet
from handful.methods.mshnet.winograd import WinogradConvolution

# channels from which on Winograd's form is the faster one: benchmarks/mshnet_stages.py
_WIDE = 128


def fused(model: MSHNet) -> MSHNet:
    """Return a copy for inference that costs less and answers the same.

    Parameters
    ----------
    model : MSHNet
        With its weights loaded; it stays as it is.

    Returns
    -------
    MSHNet
        In evaluation mode; it cannot be trained, and its weights are not those of a file.

    Examples
    --------
    >>> from handful.methods.mshnet import LIGHT
    >>> model = MSHNet("handful-base", widths=LIGHT).eval()
    >>> photo, masks = torch.rand(1, 3, 64, 64), torch.ones(1, 64, 64)
    >>> state = model.support_state(photo, masks)
    >>> with torch.inference_mode():
    ...     torch.testing.assert_close(fused(model)(photo, state), model(photo, state))
    """
    twin = deepcopy(model).eval().requires_grad_(False)
    fold_batch_norms(twin.backbone)
    twin.head = cast("Head", FusedHead(twin.head))
    return twin


class FusedHead(nn.Module):
    """What `Head` computes in evaluation mode, rewritten; the inner logits are left out."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.merges = head.merges
        self.decoder = head.decoder
        deep, shallow = cast("Fusion", head.fusions[1]), cast("Fusion", head.fusions[0])
        self.deep = FusedFusion(deep)
        self.shallow = FusedRefinedFusion(shallow)
        self.classify = FusedClassifier(head.classify)
        _fold(self)

    def forward(
        self, similarities: Sequence[Mapping[Kind, Tensor]], shots: Sequence[int], inner: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Return what `Head` returns without inner logits."""
        fine, middle, coarse = (
            merge(level, shots) for merge, level in zip(self.merges, similarities, strict=True)
        )
        x = self.decoder(self.shallow(self.deep(coarse, middle), fine))
        return self.classify(x), []


class FusedFusion(nn.Module):
    """`Fusion` of two merging blocks: both 1x1 projections are part of the 3x3 that joins."""

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        join = _folded(fusion.join)
        coarse, fine = cast("nn.Conv2d", fusion.coarse), fusion.fine
        to_coarse, to_fine = join.weight.chunk(2, 1)
        self.enlarge = EnlargedConvolution(_compose(to_coarse, coarse))
        self.fine = _convolution(_compose(to_fine, fine))
        self.border = Border(_taps(to_coarse, coarse) + _taps(to_fine, fine), join.bias)
        self.refine = fusion.refine

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Map (P, a, h, w) and (P, b, H, W) to (P, width, H, W)."""
        size = (fine.shape[2], fine.shape[3])
        x = self.fine(fine).add_(self.enlarge(coarse, size))
        refined: Tensor = self.refine(x.add_(self.border(size)).relu_())
        return refined


class FusedRefinedFusion(nn.Module):
    """`Fusion` onto an earlier one: the finer map's 1x1 is part of the 3x3 that joins."""

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        coarse, join = _folded(fusion.coarse), _folded(fusion.join)
        to_coarse, to_fine = join.weight.chunk(2, 1)
        self.enlarge = EnlargedConvolution(coarse.weight)
        self.bias = nn.Buffer(_bias(coarse)[:, None, None].clone())
        self.join = _convolution(torch.cat([to_coarse, _compose(to_fine, fusion.fine)], 1))
        self.border = Border(_taps(to_fine, fusion.fine), join.bias)
        self.refine = fusion.refine

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Map (P, a, h, w) and (P, b, H, W) to (P, width, H, W)."""
        size = (fine.shape[2], fine.shape[3])
        x = torch.cat([self.enlarge(coarse, size).add_(self.bias).relu_(), fine], 1)
        x = self.join(x)
        refined: Tensor = self.refine(x.add_(self.border(size)).relu_())
        return refined


class FusedClassifier(nn.Module):
    """`Classifier` on a map at twice its size."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.enlarge = EnlargedConvolution(cast("nn.Conv2d", classifier[0]).weight)
        self.last = classifier[2]

    def forward(self, x: Tensor) -> Tensor:
        """Map (P, inputs, h, w) to (P, 2, 2 h, 2 w)."""
        logits: Tensor = self.last(self.enlarge(x, (2 * x.shape[2], 2 * x.shape[3])).relu_())
        return logits


class EnlargedConvolution(nn.Module):
    r"""A 3x3 convolution (padding 1, no bias) of an enlarged map, with products on the small one.

    With the interpolation :math:`A` of one axis and its shifts :math:`A_d` by the three taps, zero
    where they leave the map, the result is :math:`\sum_{ij} A_i (W_{ij} X) A_j^T`: a ninth of
    the products for each halving of a side, and two cheap interpolations.

    Parameters
    ----------
    weight : Tensor
        (outputs, inputs, 3, 3).
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        outputs, inputs = weight.shape[:2]
        # columns, then rows: the sum over columns comes first
        self.taps = nn.Buffer(weight.permute(3, 2, 0, 1).reshape(3, -1, inputs).contiguous())
        self.outputs = outputs

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Map (P, inputs, h, w) to (P, outputs, H, W) at the size (H, W)."""
        tasks, _, height, width = x.shape
        across = _shifted(width, size[1], x)
        down = _shifted(height, size[0], x).mT
        out = x.new_empty(tasks, self.outputs, *size)
        for task in range(tasks):
            pixels = x[task].flatten(1)
            wide = (self.taps[0] @ pixels).view(-1, width) @ across[0]
            for tap in (1, 2):
                wide.addmm_((self.taps[tap] @ pixels).view(-1, width), across[tap])
            rows = wide.view(3, self.outputs, height, size[1])
            torch.matmul(down[0], rows[0], out=out[task])
            for tap in (1, 2):
                out[task] += down[tap] @ rows[tap]
        return out


class Border(nn.Module):
    """What the bias of a 1x1 convolution gives to the 3x3 one after it, and that one's own bias.

    Parameters
    ----------
    taps : Tensor
        (outputs, 3, 3): the 3x3 weights times the bias, summed over the channels between.
    bias : Tensor or None
        (outputs,).
    """

    def __init__(self, taps: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.taps = nn.Buffer(taps[:, None].clone())
        self.bias = nn.Buffer(taps.new_zeros(len(taps)) if bias is None else bias.detach().clone())

    def forward(self, size: tuple[int, int]) -> Tensor:
        """Return the map (1, outputs, H, W)."""
        return conv2d(self.taps.new_ones(1, 1, *size), self.taps, self.bias, padding=1)


def _convolution(weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    """Return a 3x3 convolution with padding 1 in the form that is the faster one."""
    outputs, inputs = weight.shape[:2]
    if min(outputs, inputs) >= _WIDE:
        return WinogradConvolution(weight, bias)
    plain = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias is not None).to(weight)
    plain.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
    return plain.requires_grad_(False)


def _shifted(small: int, large: int, like: Tensor) -> Tensor:
    """Return the interpolation of one axis seen by the three taps, (3, small, large)."""
    eye = torch.eye(small, dtype=like.dtype, device=like.device)[:, None]
    weights = interpolate(eye, large, mode="linear", align_corners=True)[:, 0]
    padded = pad(weights, (1, 1))
    return torch.stack([padded[:, tap : tap + large] for tap in range(3)])


def _compose(after: Tensor, before: nn.Conv2d) -> Tensor:
    """Return the 3x3 weights of a 1x1 convolution and the 3x3 one after it."""
    return torch.einsum("omyx,mi->oiyx", after, before.weight[:, :, 0, 0])


def _taps(after: Tensor, before: nn.Conv2d) -> Tensor:
    """Return what the 1x1 convolution's bias adds through each tap, (outputs, 3, 3)."""
    return torch.einsum("omyx,m->oyx", after, _bias(before))


def _bias(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None
    return convolution.bias


def _folded(block: nn.Module) -> nn.Conv2d:
    """Return the convolution of a block with its batch norm in it."""
    convolution, norm, _ = cast("ConvNormRelu", block)
    folded: nn.Conv2d = fuse_conv_bn_eval(
        cast("nn.Conv2d", convolution), cast("nn.BatchNorm2d", norm)
    )
    return folded


def _fold(module: nn.Module) -> None:
    """Fold the batch norms of all blocks inside."""
    for name, child in module.named_children():
        if isinstance(child, ConvNormRelu):
            plain = _folded(child)
            square = plain.kernel_size == (3, 3) and plain.dilation == (1, 1)
            quick = _convolution(plain.weight, plain.bias) if square else plain
            setattr(module, name, nn.Sequential(quick, nn.ReLU(inplace=True)))
        else:
            _fold(child)
