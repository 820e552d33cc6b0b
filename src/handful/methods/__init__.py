"""Methods by name: one short file each, all behind the one door of `matcher.Matcher`."""

from handful.methods.calibration import Calibration
from handful.methods.loading import KOCH, backbone_digest, load, names
from handful.methods.matcher import Image, Matcher, class_scores

__all__ = [
    "KOCH",
    "Calibration",
    "Image",
    "Matcher",
    "backbone_digest",
    "class_scores",
    "load",
    "names",
]
