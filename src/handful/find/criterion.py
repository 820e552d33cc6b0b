"""What a few examples say of a picture: a raw score to rank by, and the score that people see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from handful.methods.calibration import Calibration, shots_factor
from handful.methods.heads import Logistic

Head = Literal["prototype", "logistic"]


@dataclass(frozen=True, eq=False)
class Criterion:
    """A fitted category.

    Attributes
    ----------
    head : {"prototype", "logistic"}
        What ranks.
    prototype : Tensor
        The unit mean of the examples, (D,).
    raw : callable
        Maps unit features (n, D) to raw scores (n,), larger is more alike; differentiable.
    """

    head: Head
    prototype: Tensor
    raw: Callable[[Tensor], Tensor]
    _calibration: Calibration | None
    _factor: float

    def score(self, features: Tensor) -> Tensor:
        """Return the scores of features (n, D) in [0, 1], in the order of the raw ones.

        By the prototype it is the calibrated probability that the picture shows what the examples
        show; by logistic regression the probability against the negatives.
        """
        raw = self.raw(normalize(features, dim=-1))
        return raw.sigmoid() if self.head == "logistic" else self.score_of_cosine(raw)

    def score_of_cosine(self, cosine: Tensor) -> Tensor:
        """Return the scores of cosines to the prototype."""
        if self._calibration is None:
            return (1 + cosine) / 2
        return self._calibration.probability(cosine * self._factor)


def fit_criterion(
    calibration: Calibration | None, head: Head, positive: Tensor, negative: Tensor
) -> Criterion:
    """Learn from unit features.

    Parameters
    ----------
    calibration : Calibration or None
        How to read the model's cosines.
    head : {"prototype", "logistic"}
        What ranks.
    positive, negative : Tensor
        (n, D) and (m, D).

    Examples
    --------
    >>> eye = torch.eye(3)
    >>> found = fit_criterion(None, "prototype", eye[:1], eye[1:])
    >>> found.score(eye).tolist()
    [1.0, 0.5, 0.5]
    """
    prototype = normalize(positive.mean(0), dim=-1)
    likeness = calibration.likeness if calibration else None
    factor = float(shots_factor(likeness, len(positive)))
    raw = _logit(positive, negative) if head == "logistic" else _cosine(prototype)
    return Criterion(head, prototype, raw, calibration, factor)


def _cosine(prototype: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda features: features @ prototype.to(features)


def _logit(positive: Tensor, negative: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the log odds of two classes, the examples and the rest."""
    index = torch.cat([torch.zeros(len(positive)), torch.ones(len(negative))]).long()
    fitted = Logistic().fit(torch.cat([positive, negative]), index, 2)

    def raw(features: Tensor) -> Tensor:
        # the head's tensors lie on the CPU; a network's vectors may not
        logits = fitted(features.cpu()).to(features)
        return logits[:, 0] - logits[:, 1]

    return raw
