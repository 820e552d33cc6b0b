"""The encoded support: classes of unequal numbers of shots, scored by any method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from handful.methods.calibration import shots_factor
from handful.methods.heads import LOGISTIC_FROM, Logistic
from handful.methods.matcher import Matcher
from handful.methods.scores import calibration_of

SURENESS = 0.05
"""What the logarithm of a logistic head's probability counts beside a cosine."""


@dataclass(frozen=True, eq=False)
class SupportSet:
    """The features of labelled examples, ready to be compared with queries.

    Cosines to prototypes of different numbers of shots are made comparable by the method's
    calibration (`handful.methods.calibration.shots_factor`). Apart from that its scores are those
    of `handful.methods.matcher.class_scores`, the form that episodes use, unless the method has
    ``logistic = True`` and every class three examples. Then a logistic regression ranks the
    classes: with c the cosine of the one it prefers and p its probabilities, the scores are
    c + 0.05 (log p - max log p), so that "none of these" still asks how alike the image is.

    Attributes
    ----------
    matcher : Matcher
        What encoded them.
    features : Tensor
        (S, ...), one row per example.
    index : Tensor
        (S,) integers: the class of each example, 0..ways-1, none of them empty.
    prototypes : Tensor or None
        (ways, ...) for a method that merges shots.
    head : str
        What ranks the classes: ``prototype``, ``logistic`` or ``nearest``.
    """

    matcher: Matcher
    features: Tensor
    index: Tensor
    prototypes: Tensor | None = field(init=False)
    _logits: Callable[[Tensor], Tensor] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        merged = [self._merge(self.features[self.index == way]) for way in range(self.ways)]
        kept = [prototype for prototype in merged if prototype is not None]
        object.__setattr__(
            self, "prototypes", torch.stack(kept) if len(kept) == self.ways else None
        )
        enough = int(torch.bincount(self.index).min()) >= LOGISTIC_FROM
        wanted = getattr(self.matcher, "logistic", False) and self.prototypes is not None
        fitted = Logistic().fit(self.features, self.index, self.ways) if wanted and enough else None
        object.__setattr__(self, "_logits", fitted)

    @property
    def ways(self) -> int:
        """How many classes there are."""
        return int(self.index.max()) + 1

    @property
    def head(self) -> str:
        """What ranks the classes."""
        if self._logits is not None:
            return "logistic"
        return "nearest" if self.prototypes is None else "prototype"

    def raw(self, query: Tensor) -> Tensor:
        """Score queries (Q, ...) against the classes: raw scores (Q, ways)."""
        plain = self.unranked(query)
        if self._logits is None:
            return plain
        certainty = self._logits(query).log_softmax(1)
        top, best = certainty.max(1, keepdim=True)
        return plain.gather(1, best) + SURENESS * (certainty - top)

    def unranked(self, query: Tensor) -> Tensor:
        """Score queries by likeness alone, whatever the head: raw scores (Q, ways)."""
        if self.prototypes is not None:
            factor = self._factor(torch.bincount(self.index))
            return self.matcher.compare(query, self.prototypes) * factor
        return self.best_shot(self.matcher.compare(query, self.features))

    def best_shot(self, pairs: Tensor) -> Tensor:
        """Reduce scores against every example (Q, S) to the best of each class (Q, ways)."""
        best = torch.full((len(pairs), self.ways), -torch.inf)
        return best.scatter_reduce_(1, self.index.expand_as(pairs), pairs, "amax")

    def against(self, query: Tensor, members: Tensor) -> Tensor:
        """Score queries (Q, ...) against one class made of these examples: raw scores (Q,)."""
        if len(members) == 0:
            return torch.full((len(query),), -torch.inf)
        shots = self.features[members]
        merged = self._merge(shots)
        if merged is None:
            return self.matcher.compare(query, shots).amax(1)
        return self.matcher.compare(query, merged[None])[:, 0] * self._factor(len(shots))

    def _factor(self, shots: int | Tensor) -> float | Tensor:
        calibration = calibration_of(self.matcher)
        return shots_factor(calibration.likeness if calibration else None, shots)

    def _merge(self, shots: Tensor) -> Tensor | None:
        return shots[0] if len(shots) == 1 else self.matcher.pool(shots)
