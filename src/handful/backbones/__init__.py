"""Pixels to features: networks that know nothing of methods."""

from handful.backbones.embedder import Embedder, NetworkEmbedder
from handful.backbones.features import Embedding, FeatureMaps, check_digest
from handful.backbones.koch import KochTower
from handful.backbones.registry import build
from handful.backbones.shared import Kept, share_maps

__all__ = [
    "Embedder",
    "Embedding",
    "FeatureMaps",
    "Kept",
    "KochTower",
    "NetworkEmbedder",
    "build",
    "check_digest",
    "share_maps",
]
