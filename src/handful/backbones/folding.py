"""Batch norms of a frozen network folded into the convolutions before them."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.fx import GraphModule
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> None:
    """Fold, in place, every batch norm that alone reads a convolution.

    Traced networks (`TorchvisionBackbone`) and plain sequences say who reads what; whatever else
    there is stays as it is. The answers are the same up to rounding; the weights are no longer
    those of a file.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, with its weights loaded.

    Examples
    --------
    >>> from handful.backbones import build
    >>> network = build("resnet18")
    >>> fold_batch_norms(network)
    >>> sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    0
    """
    for traced in [part for part in network.modules() if isinstance(part, GraphModule)]:
        parts = dict(traced.named_modules())
        for node in traced.graph.nodes:
            if node.op != "call_module" or not isinstance(parts[node.target], nn.BatchNorm2d):
                continue
            source = node.args[0]
            convolution = parts.get(source.target) if source.op == "call_module" else None
            if isinstance(convolution, nn.Conv2d) and len(source.users) == 1:
                folded = fuse_conv_bn_eval(convolution, parts[node.target])
                _replace(traced, source.target, folded)
                _replace(traced, node.target, nn.Identity())
    for sequence in [part for part in network.modules() if isinstance(part, nn.Sequential)]:
        for index, (first, second) in enumerate(pairwise(sequence)):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                sequence[index] = fuse_conv_bn_eval(first, second)
                sequence[index + 1] = nn.Identity()


def _replace(network: nn.Module, path: str, part: nn.Module) -> None:
    parent, _, child = path.rpartition(".")
    setattr(network.get_submodule(parent), child, part)
