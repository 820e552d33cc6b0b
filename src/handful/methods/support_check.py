"""The support examined by itself: each example named by the others, those of its group left out."""

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
    groups: Sequence[str | None] | None = None,
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
    groups : sequence of (str or None), optional
        What each example must not be parted from: with it, the whole of its group is left out,
        whatever its class. Frames of one burst would name each other rightly without any merit.

    Returns
    -------
    SupportCheck or None
        None where no class has examples of two groups: nothing can be left out.
    """
    group = _numbers(groups, len(support.index))
    raw = _left_out_each(support, group)
    # -inf: without its group nothing is left of its class, so nothing can be said
    alone = raw.gather(1, support.index[:, None])[:, 0].isneginf()
    tested = torch.nonzero(~alone).flatten()
    if len(tested) == 0:
        return None
    own = support.index[tested]
    raw = raw[tested]
    wrong = raw.argmax(1) != own
    accuracy = 1 - float(wrong.float().mean())
    if accuracy < SupportCheck.TRUSTED:
        return SupportCheck(accuracy, len(tested), ())

    # from here on only those named wrongly are looked at: a large support has few of them
    raw, own, astray = raw[wrong], own[wrong], tested[wrong]
    trusted = torch.ones(len(support.index), dtype=torch.bool)
    suspects: list[Suspect] = []
    while len(suspects) < MOST:
        row = _worst(support, raw, own, threshold, trusted[astray])
        if row is None:
            break
        example, found = int(astray[row]), int(raw[row].argmax())
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
        raw[:, own[row]] = support.against(support.features[astray], members)
        _leave_out(support, raw, astray, members, int(own[row]), group)
    return SupportCheck(accuracy, len(tested), tuple(suspects))


def _numbers(groups: Sequence[str | None] | None, examples: int) -> Tensor:
    """Give each group a number, (S,): an example without one is a group of its own."""
    keys = [(place, "") if name is None else (-1, name) for place, name in enumerate(groups or ())]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return torch.tensor([numbers[key] for key in keys]) if keys else torch.arange(examples)


def _left_out_each(support: SupportSet, group: Tensor) -> Tensor:
    """Score every example against the classes without its group: raw scores (S, ways)."""
    if support.prototypes is None:
        pairs = support.matcher.compare(support.features, support.features)
        return support.best_shot(pairs.masked_fill(group[:, None] == group, -torch.inf))
    # a head would have to be fitted anew without each group: likeness alone judges
    raw = support.unranked(support.features).clone()
    everyone = torch.arange(len(raw))
    for way in range(support.ways):
        members = torch.nonzero(support.index == way).flatten()
        _leave_out(support, raw, everyone, members, way, group)
    return raw


def _leave_out(
    support: SupportSet, raw: Tensor, tested: Tensor, members: Tensor, way: int, group: Tensor
) -> None:
    """Score what shares a group with members of a class against its other members, in `raw`."""
    for number in sorted(set(group[members].tolist()) & set(group[tested].tolist())):
        rows = torch.nonzero(group[tested] == number).flatten()
        others = members[group[members] != number]
        raw[rows, way] = support.against(support.features[tested[rows]], others)


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
