"""Features x features -> scores: pure functions, differentiable, with bounded memory."""

from handful.similarity.cosine import cosine
from handful.similarity.dense_cosine import dense_cosine
from handful.similarity.dense_l1 import Nearest, nearest_l1
from handful.similarity.l1 import weighted_l1
from handful.similarity.nearest import nearest_cosine
from handful.similarity.prototype import foreground, masked_mean, prototype_similarity

__all__ = [
    "Nearest",
    "cosine",
    "dense_cosine",
    "foreground",
    "masked_mean",
    "nearest_cosine",
    "nearest_l1",
    "prototype_similarity",
    "weighted_l1",
]
