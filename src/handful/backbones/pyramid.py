"""Every block's map of a network at strides 8, 16 and 32: what dense comparison stands on."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu6

from handful.backbones.features import FeatureMaps
from handful.backbones.handful_base import NAME, STAGES, HandfulBase
from handful.backbones.torchvision_backbone import TorchvisionBackbone
from handful.errors import InputError

# residual blocks of layers 2, 3 and 4: He et al., "Deep residual learning", 2015, table 1
RESNETS = {
    "resnet18": (2, 2, 2),
    "resnet34": (4, 6, 3),
    "resnet50": (4, 6, 3),
    "resnet101": (4, 23, 3),
    "resnet152": (8, 36, 3),
}


def pyramid(name: str) -> FeatureMaps:
    """Build a frozen network whose maps are the outputs of all its blocks from stride 8 on.

    Parameters
    ----------
    name : str
        ``resnet18`` to ``resnet152`` (also as ``torchvision:NAME``): the sum of every residual
        block of layers 2, 3 and 4 before its last ReLU, ``layer2.0.add`` and so on.
        ``handful-base``: every linear bottleneck, ``block3`` to ``block16``.

    Returns
    -------
    FeatureMaps
        Without weights, until its `load`. A photo of 473 pixels has maps of 60, 30 and 15.

    Raises
    ------
    InputError
        No such network.

    Examples
    --------
    >>> network = pyramid("resnet18")
    >>> list(network.strides.items())[1:4]
    [('layer2.1.add', 8), ('layer3.0.add', 16), ('layer3.1.add', 16)]
    """
    if name == NAME:
        return HandfulBasePyramid()
    architecture = name.removeprefix("torchvision:")
    if architecture not in RESNETS:
        raise InputError(
            f"backbone {name!r}: there are maps of every block of {NAME}, {', '.join(RESNETS)}"
        )
    nodes = [
        f"layer{layer}.{block}.add"
        for layer, blocks in enumerate(RESNETS[architecture], 2)
        for block in range(blocks)
    ]
    return TorchvisionBackbone(architecture, nodes, embedding=False)


class HandfulBasePyramid(HandfulBase):
    """`handful-base` with the output of every block from stride 8 on as a map.

    The weights are those of `HandfulBase`; the embedding stays.

    Examples
    --------
    >>> import torch
    >>> network = HandfulBasePyramid()
    >>> list(network(torch.zeros(1, 3, 64, 64))["block12"].shape)
    [1, 96, 4, 4]
    """

    def __init__(self, frozen: bool = True) -> None:
        super().__init__(frozen)
        self.strides, self.channels = {}, {}
        stride, index = 2, 0
        for _, channels, repeats, first in STAGES:
            stride *= first
            for _ in range(repeats):
                if stride >= 8:
                    self.strides[f"block{index}"] = stride
                    self.channels[f"block{index}"] = channels
                index += 1

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map normalised pixels (N, 3, H, W) to maps (N, channels, ~H/stride, ~W/stride)."""
        x = relu6(self.network.stem(x), inplace=True)
        maps = {}
        for index, block in enumerate(self.network.blocks):
            x = block(x)
            if f"block{index}" in self.strides:
                maps[f"block{index}"] = x
        return maps
