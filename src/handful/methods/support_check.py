"""The support examined by itself: each example named by all the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from handful.answers import SupportCheck, Suspect
from handful.methods.scores import as_score
from handful.methods.support_set import SupportSet

MOST = 20
"""Suspects are named up to this number; more is no slip of a label."""


def check_support(
    support: SupportSet,
    classes: Sequence[str],
    images: Sequence[str | None],
    threshold: float | None,
) -> SupportCheck | None:
    """Leave each example out, name it by the others, and collect those that look mislabelled.

    A mislabelled example also draws its true neighbours to its wrong label. So the worst one is
    taken out for good and the others named wrongly are looked at again, until none is left. Where
    the model names less than half of the examples rightly it cannot judge a label: no suspects.

    Parameters
    ----------
    support : SupportSet
        The encoded support.
    classes : sequence of str
        The label of each class number.
    images : sequence of (str or None)
        The path of each example.
    threshold : float or None
        An example whose best score is below this looks like nothing at all: badly drawn, but
        not another class's, so no suspect.

    Returns
    -------
    SupportCheck or None
        None where every class has one example: nothing can be left out.
    """
    shots = torch.bincount(support.index)
    tested = torch.nonzero(shots[support.index] > 1).flatten()
    if len(tested) == 0:
        return None
    own = support.index[tested]
    raw = _left_out_each(support)[tested]
    wrong = raw.argmax(1) != own
    accuracy = 1 - float(wrong.float().mean())
    if accuracy < SupportCheck.TRUSTED:
        return SupportCheck(accuracy, len(tested), ())

    trusted = torch.ones(len(support.index), dtype=torch.bool)
    suspects: list[Suspect] = []
    while len(suspects) < MOST:
        row = _worst(support, raw, own, threshold, wrong & trusted[tested])
        if row is None:
            break
        example, found = int(tested[row]), int(raw[row].argmax())
        scores = as_score(support.matcher, raw[row])
        suspects.append(
            Suspect(
                index=example,
                image=images[example],
                label=classes[int(own[row])],
                looks_like=classes[found],
                score=float(scores[found]),
                own_score=float(scores[own[row]]),
            )
        )
        trusted[example] = False
        members = torch.nonzero(trusted & (support.index == own[row])).flatten()
        raw[:, own[row]] = support.against(support.features[tested], members)
        _leave_out(support, raw, tested, members)
    return SupportCheck(accuracy, len(tested), tuple(suspects))


def _left_out_each(support: SupportSet) -> Tensor:
    """Score every example against the classes without itself: raw scores (S, ways)."""
    if support.prototypes is None:
        pairs = support.matcher.compare(support.features, support.features)
        itself = torch.eye(len(pairs), dtype=torch.bool)
        return support.best_shot(pairs.masked_fill(itself, -torch.inf))
    raw = support.raw(support.features).clone()
    everyone = torch.arange(len(raw))
    for way in range(support.ways):
        _leave_out(support, raw, everyone, torch.nonzero(support.index == way).flatten())
    return raw


def _leave_out(support: SupportSet, raw: Tensor, tested: Tensor, members: Tensor) -> None:
    """Score each member of a class against the other members, in its row of `raw`."""
    for member in members.tolist():
        others = members[members != member]
        way = support.index[member]
        raw[tested == member, way] = support.against(support.features[member][None], others)


def _worst(
    support: SupportSet, raw: Tensor, own: Tensor, threshold: float | None, among: Tensor
) -> int | None:
    """Return the row, `among` those asked for, that lies furthest on another class's side."""
    own_raw, best = raw.gather(1, own[:, None])[:, 0], raw.amax(1)
    # -inf: nothing is left of its class, so nothing can be said
    astray = among & (best > own_raw) & own_raw.isfinite()
    if threshold is not None:
        astray &= as_score(support.matcher, best) >= threshold
    if not astray.any():
        return None
    return int(torch.where(astray, best - own_raw, -torch.inf).argmax())
