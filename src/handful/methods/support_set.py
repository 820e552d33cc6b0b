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
        return self._best(self.matcher.compare(query, self.features))

    def leave_one_out(self) -> tuple[Tensor, Tensor]:
        """Score each example as if it were not in the support.

        Returns
        -------
        tested : Tensor
            (T,) rows of `features`: the examples of classes with two shots or more.
        raw : Tensor
            (T, ways) raw scores; only the example's own class changes by leaving it out.
        """
        shots = torch.bincount(self.index)
        tested = torch.nonzero(shots[self.index] > 1).flatten()
        rows = [self._without(int(example)) for example in tested]
        return tested, torch.cat(rows) if rows else torch.zeros(0, self.ways)

    def _without(self, example: int) -> Tensor:
        query, own = self.features[example : example + 1], self.index[example]
        others = self.index == own
        others[example] = False
        if self.prototypes is None:
            pairs = self.matcher.compare(query, self.features)
            pairs[:, example] = -torch.inf
            return self._best(pairs)
        raw = self.matcher.compare(query, self.prototypes)
        merged = self._merge(self.features[others])
        assert merged is not None
        raw[:, own] = self.matcher.compare(query, merged[None])[:, 0]
        return raw

    def _merge(self, shots: Tensor) -> Tensor | None:
        return shots[0] if len(shots) == 1 else self.matcher.pool(shots)

    def _best(self, pairs: Tensor) -> Tensor:
        """Reduce scores of pairs (Q, S) to the best shot of each class (Q, ways)."""
        best = torch.full((len(pairs), self.ways), -torch.inf)
        return best.scatter_reduce_(1, self.index.expand_as(pairs), pairs, "amax")
