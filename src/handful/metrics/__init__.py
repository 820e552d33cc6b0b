"""Metrics: pure functions on arrays."""

from handful.metrics.accuracy import accuracy, mean_interval, wilson_interval
from handful.metrics.verification import (
    auroc,
    balanced_accuracy,
    equal_error_rate,
    roc_curve,
)

__all__ = [
    "accuracy",
    "auroc",
    "balanced_accuracy",
    "equal_error_rate",
    "mean_interval",
    "roc_curve",
    "wilson_interval",
]
