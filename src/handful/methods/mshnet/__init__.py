"""MSHNet: segmentation from a few masks, by many similarities of many layers.

X. Shi et al., "Multi-similarity based hyperrelation network for few-shot segmentation", 2022.
"""

from handful.methods.mshnet.blocks import LIGHT, PAPER, Kind, Widths
from handful.methods.mshnet.inference import fused
from handful.methods.mshnet.network import MSHNet, Similarity
from handful.methods.mshnet.output import Output, loss
from handful.methods.mshnet.support import SupportState

__all__ = [
    "LIGHT",
    "PAPER",
    "Kind",
    "MSHNet",
    "Output",
    "Similarity",
    "SupportState",
    "Widths",
    "fused",
    "loss",
]
