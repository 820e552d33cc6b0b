"""Metrics: pure functions on arrays."""

from handful.metrics.accuracy import accuracy, mean_interval, wilson_interval
from handful.metrics.reid import Reidentification, reidentify
from handful.metrics.retrieval import Retrieval, inner_products, recall_at_k, retrieve
from handful.metrics.verification import (
    auroc,
    balanced_accuracy,
    equal_error_rate,
    roc_curve,
)

__all__ = [
    "Reidentification",
    "Retrieval",
    "accuracy",
    "auroc",
    "balanced_accuracy",
    "equal_error_rate",
    "inner_products",
    "mean_interval",
    "recall_at_k",
    "reidentify",
    "retrieve",
    "roc_curve",
    "wilson_interval",
]
