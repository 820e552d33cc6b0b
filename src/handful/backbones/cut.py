"""A network cut at one of its maps: the map and the vector from one pass, and the head between.

Whatever explains a vector by a map needs both, and the gradient from the one to the other. Where
the vector is affine in the map, as a mean over positions and a linear layer make it, the `head`
holds that gradient, and nothing has to be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from handful.backbones.drawing import DrawingNet
from handful.backbones.features import Embedding, FeatureMaps
from handful.backbones.handful_base import HandfulBase
from handful.backbones.koch import KochTower
from handful.backbones.timm_backbone import TimmBackbone
from handful.backbones.torchvision_backbone import EMBEDDING, TorchvisionBackbone
from handful.errors import InputError

Both = Callable[[Tensor], tuple[Tensor, Tensor]]

# a side at which every network of 32 pixels a cell has several cells
_PROBE = 96


class LinearHead(Protocol):
    """A head whose vector is affine in the map."""

    def __call__(self, maps: Tensor) -> Tensor:
        """Map (N, C, H, W) to vectors (N, D)."""
        ...

    def adjoint(self, gradient: Tensor, size: tuple[int, int]) -> Tensor:
        """Bring gradients (N, D) of a score by the vector back to the map of `size` (H, W).

        Returns
        -------
        Tensor
            (N, C, H, W), or (N, C, 1, 1) where it is the same at every position.
        """
        ...


@dataclass(frozen=True, eq=False)
class MeanHead:
    """The mean over positions, then a linear layer: z = W mean(A) + b.

    Attributes
    ----------
    weight : Tensor or None
        (D, C); None is the identity.
    bias : Tensor or None
        (D,)

    Examples
    --------
    >>> head = MeanHead(torch.tensor([[1.0, -1.0]]))
    >>> head(torch.tensor([[[[1.0, 3.0]], [[0.0, 4.0]]]]))
    tensor([[0.]])
    >>> head.adjoint(torch.tensor([[2.0]]), (1, 2)).flatten().tolist()
    [1.0, -1.0]
    """

    weight: Tensor | None = None
    bias: Tensor | None = None

    def __call__(self, maps: Tensor) -> Tensor:
        """Map (N, C, H, W) to vectors (N, D)."""
        pooled = torch.mean(maps, dim=(2, 3))
        return pooled if self.weight is None else linear(pooled, self.weight, self.bias)

    def adjoint(self, gradient: Tensor, size: tuple[int, int]) -> Tensor:
        """Bring gradients (N, D) back to the map: (N, C, 1, 1)."""
        by_channel = gradient if self.weight is None else gradient @ self.weight
        return (by_channel / (size[0] * size[1]))[..., None, None]


@dataclass(frozen=True, eq=False)
class PositionsHead:
    """Sums under learned weightings of the positions, then a batch norm in evaluation mode.

    Attributes
    ----------
    positions : Tensor
        (C, V, H * W): V weightings of every channel.
    norm : nn.BatchNorm1d
        Of C * V features.
    """

    positions: Tensor
    norm: nn.BatchNorm1d

    def __call__(self, maps: Tensor) -> Tensor:
        """Map (N, C, H, W) to vectors (N, C * V)."""
        pooled = torch.einsum("ncp,cvp->ncv", maps.flatten(2), self.positions)
        vectors: Tensor = self.norm(pooled.flatten(1))
        return vectors

    def adjoint(self, gradient: Tensor, size: tuple[int, int]) -> Tensor:
        """Bring gradients (N, C * V) back to the map: (N, C, H, W)."""
        assert self.norm.running_var is not None
        scale = self.norm.weight / (self.norm.running_var + self.norm.eps).sqrt()
        channels, count = self.positions.shape[:2]
        views = (gradient * scale).view(-1, channels, count)
        return torch.einsum("ncv,cvp->ncp", views, self.positions).view(-1, channels, *size)


@dataclass(frozen=True, eq=False)
class Cut:
    """A network cut at a map.

    Attributes
    ----------
    both : callable
        Maps an input (N, ...) to the map (N, C, H, W) and the vectors (N, D), of any length, in
        one pass that can be differentiated.
    head : LinearHead or None
        What makes the vector of the map; None where that is not affine.
    """

    both: Both
    head: LinearHead | None = None


@runtime_checkable
class Cuttable(Protocol):
    """A network that knows its own last map."""

    def cut(self) -> Cut:
        """Return the network, cut at its last map."""
        ...


def cut(network: nn.Module, layer: str | None = None) -> Cut:
    """Cut a network at one of its maps.

    Parameters
    ----------
    network : nn.Module
        An `Embedding`, a `FeatureMaps`, a `DrawingNet`, a `KochTower`, a `Cuttable`; with a `layer`
        any network that maps images to vectors.
    layer : str, optional
        The name of a map of a `FeatureMaps`, or the path of a module whose output is a map. By
        default the last map, with its head where that is affine.

    Raises
    ------
    InputError
        No such map.

    Examples
    --------
    >>> maps, vectors = cut(HandfulBase()).both(torch.zeros(1, 3, 64, 64))
    >>> maps.shape, vectors.shape
    (torch.Size([1, 1280, 2, 2]), torch.Size([1, 512]))
    """
    if isinstance(network, Embedding):
        network = network.backbone
    if isinstance(network, FeatureMaps) and (layer is None or layer in network.strides):
        return _feature_maps(network, layer)
    if layer is not None:
        return Cut(_at_module(network, layer))
    if isinstance(network, Cuttable):
        return network.cut()
    if isinstance(network, DrawingNet):
        return _drawing_net(network)
    if isinstance(network, KochTower):
        return Cut(_at_module(network, "convolutions.3", torch.relu))
    raise InputError(f"{type(network).__name__}: name the layer at which it is to be cut")


def _feature_maps(network: FeatureMaps, layer: str | None) -> Cut:
    last = list(network.strides)[-1]
    found = layer or last
    if isinstance(network, HandfulBase):
        projection = network.network.projection

        def base(x: Tensor) -> tuple[Tensor, Tensor]:
            maps = network(x)
            return maps[found], projection(torch.mean(maps["head"], dim=(2, 3)))

        return Cut(base, MeanHead(projection.weight) if found == last else None)
    if isinstance(network, TorchvisionBackbone):

        def both(x: Tensor) -> tuple[Tensor, Tensor]:
            maps = network.network(x)
            return maps[found], maps[EMBEDDING]

    elif isinstance(network, TimmBackbone):

        def both(x: Tensor) -> tuple[Tensor, Tensor]:
            return network.maps_and_vectors(x, layer)

    else:
        raise InputError(f"{network.name}: name the path of the module at which it is to be cut")
    return Cut(both, MeanHead() if found == last and _is_mean(network, both) else None)


@torch.no_grad()
def _is_mean(network: FeatureMaps, both: Both) -> bool:
    """Say whether the vector is the mean of the map over positions, by trying it."""
    side = network.fixed_size or _PROBE
    like = next(network.parameters())
    x = torch.linspace(-2, 2, 3 * side * side, dtype=like.dtype, device=like.device)
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    maps, vectors = both(x.sin().view(1, 3, side, side))
    for part, training in modes:
        part.training = training
    same_shape = maps.ndim == 4 and maps.shape[:2] == vectors.shape
    return same_shape and torch.allclose(torch.mean(maps, dim=(2, 3)), vectors, rtol=1e-4)


def _drawing_net(network: DrawingNet) -> Cut:
    def both(ink: Tensor) -> tuple[Tensor, Tensor]:
        maps = network.maps(ink)
        return maps, network.pool(maps)

    # in training the norm depends on the whole batch
    head = None if network.training else PositionsHead(network.positions, network.norm)
    return Cut(both, head)


def _at_module(
    network: nn.Module, path: str, after: Callable[[Tensor], Tensor] | None = None
) -> Both:
    """Record what a module gives while the network runs."""
    try:
        module = network.get_submodule(path)
    except AttributeError:
        raise InputError(f"{type(network).__name__}: has no layer {path!r}") from None

    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        found: list[Tensor] = []

        def hook(part: nn.Module, inputs: object, output: Tensor) -> Tensor:
            found.append(output if after is None else after(output))
            # a copy goes on through the network, which may change it in place
            return found[-1].clone()

        handle = module.register_forward_hook(hook)
        try:
            vectors = network.embed(x) if isinstance(network, FeatureMaps) else network(x)
        finally:
            handle.remove()
        if not found or found[-1].ndim != 4:
            raise InputError(f"{type(network).__name__}: {path} gives no map (N, C, H, W)")
        return found[-1], vectors

    return both
