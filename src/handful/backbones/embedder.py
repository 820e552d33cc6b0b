"""The door of a backbone that gives one vector an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Image = NDArray[np.uint8]

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels of a picture, from its top left corner."""


def whole(image: Image) -> Box:
    """Return the box of the whole picture."""
    return 0.0, 0.0, float(image.shape[1]), float(image.shape[0])


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
    place : callable, optional
        Says which box of a decoded image the network's input shows; it may reach over the edge.
        By default the whole picture.

    Attributes
    ----------
    side : int or None
        The side in pixels to which every photo is brought; None where all its pixels matter.
    """

    side: int | None = None

    def __init__(
        self,
        network: nn.Module,
        prepare: Callable[[Image], NDArray[np.float32]],
        name: str,
        device: str = "cpu",
        batch: int = 256,
        place: Callable[[Image], Box] = whole,
    ) -> None:
        self.network = network.to(device).eval()
        self.prepare = prepare
        self.name = name
        self.device = device
        self.batch = batch
        self.place = place

    def pixels(self, images: Sequence[Image]) -> Tensor:
        """Return the network's input (N, C, H, W) for a batch of images, on its device."""
        prepared = np.stack([self.prepare(image) for image in images])
        return torch.from_numpy(prepared).to(self.device)

    @torch.no_grad()
    def embed(self, images: Sequence[Image]) -> Tensor:
        """Return vectors (N, D), float32 on the CPU."""
        parts = []
        for start in range(0, len(images), self.batch):
            pixels = self.pixels(images[start : start + self.batch])
            parts.append(self.network(pixels).float().cpu())
        return torch.cat(parts)
