"""The door of a backbone that gives one vector an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Image = NDArray[np.uint8]


class Embedder(Protocol):
    """A network that turns decoded images into vectors."""

    name: str

    def embed(self, images: Sequence[Image]) -> Tensor:
        """Return vectors (N, D), float32 on the CPU."""
        ...


class NetworkEmbedder:
    """Run a network over images in batches, without gradients.

    Parameters
    ----------
    network : nn.Module
        Maps a batch (N, C, H, W) to vectors (N, D).
    prepare : callable
        Maps one decoded image to the network's input (C, H, W), float32.
    name : str
        The backbone's name.
    device : str
        Where it runs.
    batch : int
        Images at once: memory grows with it.
    """

    def __init__(
        self,
        network: nn.Module,
        prepare: Callable[[Image], NDArray[np.float32]],
        name: str,
        device: str = "cpu",
        batch: int = 256,
    ) -> None:
        self.network = network.to(device).eval()
        self.prepare = prepare
        self.name = name
        self.device = device
        self.batch = batch

    @torch.no_grad()
    def embed(self, images: Sequence[Image]) -> Tensor:
        """Return vectors (N, D), float32 on the CPU."""
        parts = []
        for start in range(0, len(images), self.batch):
            chunk = [self.prepare(image) for image in images[start : start + self.batch]]
            pixels = torch.from_numpy(np.stack(chunk)).to(self.device)
            parts.append(self.network(pixels).float().cpu())
        return torch.cat(parts)
