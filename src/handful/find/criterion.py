"""What a few examples say of a picture: a raw score to rank by, and the score that people see.

Pictures that a person marks as wrong move the mean of the examples away from theirs: J. Rocchio,
"Relevance feedback in information retrieval", 1971. A quarter of their mean was best on classes
that nothing here is measured on, whether they are the first wrong answers or any pictures.
"""

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

UNLIKE = 0.25
"""What the mean of the pictures that do not show it counts, against that of the examples."""


@dataclass(frozen=True, eq=False)
class Criterion:
    """A fitted category.

    Attributes
    ----------
    head : {"prototype", "logistic"}
        What ranks.
    prototype : Tensor
        The unit mean of the examples, (D,).
    target : Tensor
        The unit vector that codes are made of, (D,): the prototype, moved away from what was
        given as unlike it.
    raw : callable
        Maps unit features (n, D) to raw scores (n,), larger is more alike; differentiable.
    """

    head: Head
    prototype: Tensor
    target: Tensor
    raw: Callable[[Tensor], Tensor]
    _calibration: Calibration | None
    _factor: float

    def score(self, features: Tensor) -> Tensor:
        """Return the scores of features (n, D) in [0, 1], in the order of the raw ones.

        By the prototype it is the calibrated probability that the picture shows what the examples
        show, its likeness to what was given as unlike them taken off; by logistic regression the
        probability against all negatives.
        """
        raw = self.raw(normalize(features, dim=-1))
        return raw.sigmoid() if self.head == "logistic" else self.score_of_cosine(raw)

    def score_of_cosine(self, cosine: Tensor) -> Tensor:
        """Return the scores of cosines to the prototype, or of raw scores in their place."""
        if self._calibration is None:
            return ((1 + cosine) / 2).clamp(0, 1)
        return self._calibration.probability(cosine * self._factor)


def fit_criterion(
    calibration: Calibration | None,
    head: Head,
    positive: Tensor,
    negative: Tensor,
    background: Tensor,
) -> Criterion:
    """Learn from unit features.

    Parameters
    ----------
    calibration : Calibration or None
        How to read the model's cosines.
    head : {"prototype", "logistic"}
        What ranks.
    positive, negative : Tensor
        (n, D) and (m, D): what was given as like it and as unlike it, m may be 0.
    background : Tensor
        (b, D): others, that only a logistic regression looks at.

    Examples
    --------
    >>> eye = torch.eye(3)
    >>> found = fit_criterion(None, "prototype", eye[:1], eye[1:2], eye[2:])
    >>> found.score(eye).tolist()
    [1.0, 0.375, 0.5]
    """
    prototype = normalize(positive.mean(0), dim=-1)
    away = prototype
    if len(negative):
        away = prototype - UNLIKE * normalize(negative.mean(0), dim=-1)
    if head == "logistic":
        raw = _logit(positive, torch.cat([negative, background]))
    else:
        raw = _along(away)
    likeness = calibration.likeness if calibration else None
    factor = float(shots_factor(likeness, len(positive)))
    return Criterion(head, prototype, normalize(away, dim=-1), raw, calibration, factor)


def _along(direction: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda features: features @ direction.to(features)


def _logit(positive: Tensor, negative: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the log odds of two classes, the examples and the rest."""
    index = torch.cat([torch.zeros(len(positive)), torch.ones(len(negative))]).long()
    fitted = Logistic().fit(torch.cat([positive, negative]), index, 2)

    def raw(features: Tensor) -> Tensor:
        # the head's tensors lie on the CPU; a network's vectors may not
        logits = fitted(features.cpu()).to(features)
        return logits[:, 0] - logits[:, 1]

    return raw
