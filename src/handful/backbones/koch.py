"""The tower of Koch's Siamese network: 105x105 drawings to 4,096 sigmoid features.

G. Koch, R. Zemel, R. Salakhutdinov, "Siamese neural networks for one-shot image recognition",
2015, figure 4.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["paper", "slides", "unit-variance"]

_CONVOLUTIONS = ((1, 64, 10), (64, 128, 7), (128, 128, 4), (128, 256, 4))
_DENSE_SPREAD = {"paper": 0.2, "slides": 0.01}


class KochTower(nn.Module):
    """Valid convolutions 64@10x10, 128@7x7, 128@4x4, 256@4x4, then 9,216 -> 4,096.

    ReLU after every convolution, 2x2 max-pooling after the first three, a sigmoid at the end;
    the sides go 105, 96, 48, 42, 21, 18, 9, 6.

    Parameters
    ----------
    init : {"paper", "slides", "unit-variance"}
        Convolutions are drawn from N(0, .01) and biases from N(.5, .01). Dense weights come from
        N(0, .2) (paper) or N(0, .01) (slides). ``unit-variance`` draws He's normal with zero
        biases; :func:`unit_variance_` then scales each layer on a batch.

    Examples
    --------
    >>> tower = KochTower()
    >>> tower(torch.zeros(2, 1, 105, 105)).shape
    torch.Size([2, 4096])
    """

    size = 105
    features = 4096

    def __init__(self, init: Init = "paper") -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, k) for i, o, k in _CONVOLUTIONS)
        self.dense = nn.Linear(256 * 6 * 6, self.features)
        self.to(memory_format=torch.channels_last)
        for layer in (*self.convolutions, self.dense):
            _initialise(layer, init)

    def forward(self, ink: Tensor) -> Tensor:
        """Map ink (N, 1, 105, 105) in [0, 1] to features (N, 4096) in (0, 1)."""
        x = ink.contiguous(memory_format=torch.channels_last)
        for index, convolution in enumerate(self.convolutions):
            x = torch.relu(convolution(x))
            if index < 3:
                x = nn.functional.max_pool2d(x, 2)
        return torch.sigmoid(self.dense(x.flatten(1)))


def _initialise(layer: nn.Module, init: Init) -> None:
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    assert layer.bias is not None
    if init == "unit-variance":
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        return
    spread = 0.01 if isinstance(layer, nn.Conv2d) else _DENSE_SPREAD[init]
    nn.init.normal_(layer.weight, 0.0, spread)
    nn.init.normal_(layer.bias, 0.5, 0.01)


@torch.no_grad()
def unit_variance_(tower: KochTower, ink: Tensor, rounds: int = 2) -> None:
    """Scale and centre every layer so that its outputs on `ink` have mean 0 and variance 1.

    Parameters
    ----------
    tower : KochTower
        Changed in place.
    ink : Tensor
        A batch of training images (N, 1, 105, 105).
    rounds : int
        Times to repeat it for each layer.

    References
    ----------
    D. Mishkin, J. Matas, "All you need is a good init", 2016 (the per-channel form).
    """
    x = ink.contiguous(memory_format=torch.channels_last)
    for index, layer in enumerate((*tower.convolutions, tower.dense)):
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        assert layer.bias is not None
        axes = (0, 2, 3) if isinstance(layer, nn.Conv2d) else (0,)
        shape = (-1, *[1] * (layer.weight.ndim - 1))
        for _ in range(rounds):
            y = layer(x)
            spread = y.std(axes).clamp_min(1e-6)
            layer.weight /= spread.view(shape)
            layer.bias.copy_((layer.bias - y.mean(axes)) / spread)
        x = torch.relu(layer(x))
        if index < 3:
            x = nn.functional.max_pool2d(x, 2)
        elif index == 3:
            x = x.flatten(1)
