"""Pixels to features: networks that know nothing of methods."""

from handful.backbones.embedder import Embedder, NetworkEmbedder
from handful.backbones.koch import KochTower

__all__ = ["Embedder", "KochTower", "NetworkEmbedder"]
