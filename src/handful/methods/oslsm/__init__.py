"""OSLSM: a support photo with its mask becomes the weights of a classifier of the query's pixels.

A. Shaban et al., "One-shot learning for semantic segmentation", BMVC 2017, and its supplement.
"""

from handful.methods.oslsm.hashing import WeightHashing

__all__ = ["WeightHashing"]
