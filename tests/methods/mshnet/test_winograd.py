from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d

from handful.methods.mshnet import winograd
from handful.methods.mshnet.winograd import WinogradConvolution


@pytest.mark.parametrize("band", [1, 4000, 1 << 22])
@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (5, 9), (16, 13)])
def test_it_is_the_convolution(
    shape: tuple[int, int], band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "_BAND", band)
    monkeypatch.setattr(winograd, "_FEW", 0)
    torch.manual_seed(0)
    x = torch.randn(2, 5, *shape, dtype=torch.float64)
    weight, bias = torch.randn(7, 5, 3, 3).double(), torch.randn(7).double()
    truth = conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(WinogradConvolution(weight, bias)(x), truth, rtol=0, atol=1e-12)
    channels_last = x.to(memory_format=torch.channels_last)
    found = WinogradConvolution(weight)(channels_last)
    torch.testing.assert_close(found, truth - bias[:, None, None], rtol=0, atol=1e-12)


def test_single_precision_is_close() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(1, 256, 30, 30).relu(), torch.randn(64, 256, 3, 3) / 48
    truth = conv2d(x.double(), weight.double(), padding=1)
    found = WinogradConvolution(weight)(x).double()
    assert (found - truth).abs().max() < 3e-5 * truth.abs().max()


def test_small_maps_take_the_plain_convolution() -> None:
    x, weight = torch.randn(1, 3, 16, 16), torch.randn(4, 3, 3, 3)
    convolution = WinogradConvolution(weight)
    convolution.points.zero_()
    assert torch.equal(convolution(x), conv2d(x, weight, torch.zeros(4), padding=1))
    assert not convolution(torch.cat([x, x])).any()
