"""OSLSM: a support photo with its mask becomes the weights of a classifier of the query's pixels.

A. Shaban et al., "One-shot learning for semantic segmentation", BMVC 2017, and its supplement.
"""

from handful.methods.oslsm.beginning import begin_aligned
from handful.methods.oslsm.hashing import WeightHashing
from handful.methods.oslsm.network import OSLSM, Learns, loss
from handful.methods.oslsm.support import PixelClassifiers, View, masked_view

__all__ = [
    "OSLSM",
    "Learns",
    "PixelClassifiers",
    "View",
    "WeightHashing",
    "begin_aligned",
    "loss",
    "masked_view",
]
