"""A backbone in two parts: a frozen trunk, run once, and a tail that is trained."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu6

from handful.backbones.cut import Cut, MeanHead
from handful.backbones.features import FeatureMaps
from handful.backbones.handful_base import Convolution, HandfulBase
from handful.backbones.torchvision_backbone import TorchvisionBackbone
from handful.errors import InputError

DEFAULT_BLOCK = 13
"""From where `handful-base` is trained: its blocks of 160 channels and all that follows."""


class Tail(nn.Module):
    """The trained part: from the trunk's output to the last map and the vector.

    Parameters
    ----------
    backbone : FeatureMaps
        `handful-base`, or a ResNet of torchvision; with its weights loaded.
    features : int or None
        Dimensions of the vector. None: the backbone's own projection, where it has one.
    fine : bool
        Without the tail's halving of the map: twice as many rows and columns, as networks that
        compare parts want them.

    Attributes
    ----------
    channels : int
        Of the last map.

    Examples
    --------
    >>> from handful.backbones import build
    >>> tail = Tail(build("handful-base"))
    >>> frozen = tail.trunk(torch.zeros(2, 3, 64, 64))
    >>> maps, vectors = tail(frozen)
    >>> frozen.shape, maps.shape, vectors.shape
    (torch.Size([2, 96, 4, 4]), torch.Size([2, 1280, 2, 2]), torch.Size([2, 512]))
    """

    def __init__(
        self, backbone: FeatureMaps, features: int | None = None, fine: bool = False
    ) -> None:
        super().__init__()
        self.layers, self.projection, frozen = _split(backbone)
        if fine:
            self.layers = _keeping_size(self.layers)
        # in a list the trunk is no part of the module: neither trained nor saved
        self._frozen = [frozen]
        self.channels, own = _width(self.projection, backbone)
        if features is not None and (self.projection is None or features != own):
            self.projection = nn.Linear(self.channels, features, bias=False)
        self.requires_grad_(True)

    @property
    def features(self) -> int:
        """Dimensions of the vector."""
        return self.channels if self.projection is None else self.projection.out_features

    def train_last(self, parts: int) -> Tail:
        """Freeze all but the last parts: the projection is one, each layer or block is one.

        Raises
        ------
        InputError
            There are not so many.
        """
        known = [*self.layers.children()]
        if isinstance(self.layers, _BaseLayers):
            known = [*self.layers.blocks, self.layers.head]
        known += [] if self.projection is None else [self.projection]
        if not 1 <= parts <= len(known):
            raise InputError(f"the last {parts} parts are to be trained: there are {len(known)}")
        self.requires_grad_(False)
        for part in known[-parts:]:
            part.requires_grad_(True)
        return self

    def trunk(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to what the tail takes; differentiable by x."""
        frozen: Tensor = self._frozen[0](x)
        return frozen

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map the trunk's output to the last map (N, C, H, W) and vectors (N, D)."""
        maps: Tensor = self.layers(x)
        pooled = torch.mean(maps, dim=(2, 3))
        return maps, pooled if self.projection is None else self.projection(pooled)

    def train(self, mode: bool = True) -> Tail:
        """Set the mode; batch norms keep their statistics, as few classes would spoil them."""
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()
        return self

    @property
    def whole_trunk(self) -> nn.Module:
        """The frozen part."""
        return self._frozen[0]

    def cut(self) -> Cut:
        """Return the whole network, trunk and tail, cut at its last map."""
        weight = None if self.projection is None else self.projection.weight
        return Cut(lambda x: self(self.trunk(x)), MeanHead(weight))


class Tuned(nn.Module):
    """Trunk and tail as one network from pixels to unit vectors.

    Parameters
    ----------
    tail : Tail
        With its weights loaded.
    """

    def __init__(self, tail: Tail) -> None:
        super().__init__()
        self.tail = tail.eval()
        self.trunk = tail.whole_trunk

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to unit vectors (N, D)."""
        return normalize(self.tail(self.trunk(x))[1].float(), dim=1)

    def cut(self) -> Cut:
        """Return the network, cut at its last map."""
        return self.tail.cut()


class _BaseLayers(nn.Module):
    def __init__(self, network: HandfulBase) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*network.network.blocks[DEFAULT_BLOCK:])
        self.head = network.network.head

    def forward(self, x: Tensor) -> Tensor:
        """Map the output of the frozen blocks to the last map."""
        return relu6(self.head(self.blocks(x)))


class _BaseTrunk(nn.Module):
    def __init__(self, network: HandfulBase) -> None:
        super().__init__()
        self.stem = network.network.stem
        self.blocks = nn.Sequential(*network.network.blocks[:DEFAULT_BLOCK])

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised pixels to the input of the trained blocks."""
        found: Tensor = self.blocks(relu6(self.stem(x)))
        return found


def _split(backbone: FeatureMaps) -> tuple[nn.Module, nn.Linear | None, nn.Module]:
    """Return the trained layers, the projection and the frozen trunk."""
    if isinstance(backbone, HandfulBase):
        return _BaseLayers(backbone), backbone.network.projection, _BaseTrunk(backbone)
    if isinstance(backbone, TorchvisionBackbone) and "resnet" in backbone.name:
        from torchvision.models import get_model

        # the backbone's is a traced graph, whose parts cannot be run alone
        network = get_model(backbone.architecture, weights=None).eval()
        network.load_state_dict(backbone.network.state_dict(), strict=False)
        layers = dict(network.named_children())
        names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")
        trunk = nn.Sequential(*(layers[name] for name in names)).requires_grad_(False)
        return layers["layer4"], None, trunk
    raise InputError(f"{backbone.name}: metric learning trains handful-base or a ResNet's layer4")


def _keeping_size(layers: nn.Module) -> nn.Module:
    """Return a copy of layers whose convolutions halve nothing; the backbone stays as it is."""
    layers = copy.deepcopy(layers)
    for part in layers.modules():
        if isinstance(part, nn.Conv2d) and part.stride == (2, 2):
            part.stride = (1, 1)
            if isinstance(part, Convolution):
                # it is padded by itself at other strides
                part.padding = (part.kernel_size[0] // 2, part.kernel_size[1] // 2)
    return layers


def _width(projection: nn.Linear | None, backbone: FeatureMaps) -> tuple[int, int]:
    """Return the channels of the last map, and the dimensions of the backbone's own vector."""
    if projection is not None:
        return projection.in_features, projection.out_features
    return backbone.features, backbone.features
