"""Validation on background alphabets: one-shot trials, pairs, and the calibration they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from handful.methods.calibration import Calibration, fit_calibration
from handful.training.characters import Characters, rivals

Compare = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Runs:
    """Fixed runs of one-shot trials: in each, one drawer's characters against another's.

    Attributes
    ----------
    character, drawer : Tensor
        (runs, 2, ways): row 0 is the support, row 1 the queries.
    """

    character: Tensor
    drawer: Tensor

    @classmethod
    def draw(cls, characters: Characters, trials: int, ways: int, seed: int) -> Runs:
        """Draw ``trials / ways`` runs, each within one alphabet (of fewer characters: all)."""
        generator = torch.Generator().manual_seed(seed)
        return cls(*rivals(characters, max(1, trials // ways), ways, generator))

    def encode(self, characters: Characters, encode: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the features (runs, 2, ways, ...) of the runs, each drawing encoded once.

        `encode` maps ink (N, 1, S, S) to features (N, ...) on the processor.
        """
        place = self.character * characters.drawers + self.drawer
        unique, inverse = torch.unique(place, return_inverse=True)
        ink = characters.pixels(unique // characters.drawers, unique % characters.drawers)
        return torch.cat([encode(part) for part in torch.split(ink, 128)])[inverse]

    def accuracy(self, features: Tensor, compare: Compare) -> float:
        """Return the share of queries whose best support image shows their character.

        `features` are those of :meth:`encode`.
        """
        right = 0
        for scores, same in self._scores(features, compare):
            best = scores.argmax(1)
            right += int(same[torch.arange(len(same)), best].sum())
        return right / self.character[:, 0].numel()

    def calibration(self, features: Tensor, compare: Compare) -> Calibration:
        """Fit the calibration of a method on these runs.

        Half of the unknown queries are of the support's alphabet, their own character taken out
        of it; half are the next run's, which mostly come from elsewhere.
        """
        same, different, known, truth, unknown = [], [], [], [], []
        for scores, alike in self._scores(features, compare):
            same.append(scores[alike])
            different.append(scores[~alike])
            # an alphabet smaller than the ways repeats characters: their columns are not rivals
            rows = torch.arange(len(scores))
            own = torch.eye(len(scores), dtype=torch.bool)
            known.append(scores.masked_fill(alike & ~own, -torch.inf))
            truth.append(rows)
            unknown.append(scores.masked_fill(alike, -torch.inf))
        for scores, alike in self._scores(features, compare, ahead=1):
            unknown.append(scores.masked_fill(alike, -torch.inf))
        return fit_calibration(*(torch.cat(x) for x in (same, different, known, truth, unknown)))

    def _scores(
        self, features: Tensor, compare: Compare, ahead: int = 0
    ) -> list[tuple[Tensor, Tensor]]:
        """Score each run's support against the queries of the run `ahead`, and say which match."""
        queries, asked = features[:, 1].roll(-ahead, 0), self.character[:, 1].roll(-ahead, 0)
        return [
            (compare(query, support).float(), name[:, None] == known[None])
            for query, support, name, known in zip(
                queries, features[:, 0], asked, self.character[:, 0], strict=True
            )
        ]
