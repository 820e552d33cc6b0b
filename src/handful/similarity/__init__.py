"""Features x features -> scores: pure functions, differentiable, with bounded memory."""

from handful.similarity.cosine import cosine
from handful.similarity.l1 import weighted_l1

__all__ = ["cosine", "weighted_l1"]
