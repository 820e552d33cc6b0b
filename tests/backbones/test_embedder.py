"""Images in batches: as if one by one, in evaluation mode, without gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from handful.backbones import NetworkEmbedder
from handful.backbones.handful_base import HandfulBase
from handful.backbones.photos import photo_embedder_of


def test_batches_change_nothing() -> None:
    torch.manual_seed(0)
    # batch norm and dropout would mix or change images in training mode
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Dropout(0.5), nn.Linear(12, 3))
    images = [np.full((2, 6), 10 * k + 1, np.uint8) for k in range(5)]
    seen: list[int] = []
    network.register_forward_pre_hook(lambda _, x: seen.append(len(x[0])))
    embedder = NetworkEmbedder(
        network, lambda image: image[None].astype(np.float32) / 255, "own", batch=2
    )
    found = embedder.embed(images)
    assert seen == [2, 2, 1]
    assert not found.requires_grad
    assert (found.shape, found.dtype) == ((5, 3), torch.float32)
    linear = network[3]
    for image, row in zip(images, found, strict=True):
        pixels = image.reshape(-1) / 255 / np.sqrt(1 + 1e-5)
        expected = linear.weight.detach().numpy() @ pixels + linear.bias.detach().numpy()
        np.testing.assert_allclose(row.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_the_box_that_the_input_shows() -> None:
    page = np.zeros((40, 60, 3), np.uint8)
    backbone = HandfulBase()
    assert photo_embedder_of(backbone, 64).place(page) == (0, 0, 60, 40)
    assert photo_embedder_of(backbone, 64, fit="crop").place(page) == (10, 0, 40, 40)
    assert photo_embedder_of(backbone, 64, fit="crop").place(page[:, :20]) == (0, 10, 20, 20)
