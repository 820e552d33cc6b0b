"""Pixels to features: networks that know nothing of methods."""

from handful.backbones.embedder import Embedder, NetworkEmbedder
from handful.backbones.features import Embedding, FeatureMaps, check_digest
from handful.backbones.koch import KochTower
from handful.backbones.registry import build

__all__ = [
    "Embedder",
    "Embedding",
    "FeatureMaps",
    "KochTower",
    "NetworkEmbedder",
    "build",
    "check_digest",
]
