from __future__ import annotations

import pytest
import torch
from torch import nn

from handful.backbones import build
from handful.backbones.folding import fold_batch_norms
from handful.backbones.pyramid import pyramid


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "densenet121"])
def test_folded_networks_answer_the_same(name: str) -> None:
    torch.manual_seed(0)
    network = (pyramid if name == "resnet50" else build)(name).double()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, 0, 0.1)
            nn.init.uniform_(part.running_var, 0.8, 1.2)
            nn.init.normal_(part.bias, 0, 0.1)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    norms = sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    truth = network(x)
    fold_batch_norms(network)
    found = network(x)
    for key, value in truth.items():
        torch.testing.assert_close(found[key], value, rtol=1e-10, atol=1e-10)
    left = sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    # DenseNet normalises joined maps: those norms follow no convolution, and stay
    assert left < norms / 1.5 if name == "densenet121" else left == 0
