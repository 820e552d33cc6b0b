"""The encoded support: classes of unequal numbers of shots, scored by any method."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from handful.methods.matcher import Matcher


@dataclass(frozen=True, eq=False)
class SupportSet:
    """The features of labelled examples, ready to be compared with queries.

    Where every class has the same number of shots its scores are those of
    `handful.methods.matcher.class_scores`, the form that episodes use.

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
    """

    matcher: Matcher
    features: Tensor
    index: Tensor
    prototypes: Tensor | None = field(init=False)

    def __post_init__(self) -> None:
        merged = [self._merge(self.features[self.index == way]) for way in range(self.ways)]
        kept = [prototype for prototype in merged if prototype is not None]
        object.__setattr__(
            self, "prototypes", torch.stack(kept) if len(kept) == self.ways else None
        )

    @property
    def ways(self) -> int:
        """How many classes there are."""
        return int(self.index.max()) + 1

    def raw(self, query: Tensor) -> Tensor:
        """Score queries (Q, ...) against the classes: raw scores (Q, ways)."""
        if self.prototypes is not None:
            return self.matcher.compare(query, self.prototypes)
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
        return self.matcher.compare(query, shots if merged is None else merged[None]).amax(1)

    def _merge(self, shots: Tensor) -> Tensor | None:
        return shots[0] if len(shots) == 1 else self.matcher.pool(shots)
