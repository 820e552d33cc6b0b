"""What the verbs answer: frozen values that know how to become JSON and CSV.

An answer holds plain Python values and arrays only, so it outlives the model that gave it.
"""

from handful.answers.explanation import AttentionMap, Evidence, Explanation
from handful.answers.labels import Label, Labels, SupportCheck, Suspect, Verification
from handful.answers.matches import Match, Matches, SearchKind, Synced
from handful.answers.segmentation import (
    MaskCheck,
    MaskSuspect,
    Region,
    Segmentation,
    Segmentations,
)

__all__ = [
    "AttentionMap",
    "Evidence",
    "Explanation",
    "Label",
    "Labels",
    "MaskCheck",
    "MaskSuspect",
    "Match",
    "Matches",
    "Region",
    "SearchKind",
    "Segmentation",
    "Segmentations",
    "SupportCheck",
    "Suspect",
    "Synced",
    "Verification",
]
