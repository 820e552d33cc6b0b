"""The support examined by itself: each example named by all the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from handful.answers import SupportCheck, Suspect
from handful.methods.scores import as_score
from handful.methods.support_set import SupportSet


def check_support(
    support: SupportSet,
    classes: Sequence[str],
    images: Sequence[str | None],
    threshold: float | None,
) -> SupportCheck | None:
    """Leave each example out, name it by the others, and collect those that look mislabelled.

    A mislabelled example also draws its true neighbours to its wrong label. So the worst one is
    taken out for good and the others named wrongly are looked at again, until none is left.

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
    raw = support.raw(support.features[tested])
    for way in set(own.tolist()):
        _score_class(support, raw, tested, way, support.index == way)
    wrong = raw.argmax(1) != own

    trusted = torch.ones(len(support.index), dtype=torch.bool)
    suspects: list[Suspect] = []
    while (row := _worst(support, raw, own, threshold, wrong & trusted[tested])) is not None:
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
        way = int(own[row])
        _score_class(support, raw, tested, way, trusted & (support.index == way))
    return SupportCheck(1 - float(wrong.float().mean()), len(tested), tuple(suspects))


def _score_class(support: SupportSet, raw: Tensor, tested: Tensor, way: int, of: Tensor) -> None:
    """Fill column `way` of `raw`: the class is made of the examples `of`, never of the tested one.

    Raw scores of a class that nothing is left of are -inf.
    """
    members = torch.nonzero(of).flatten()
    raw[:, way] = support.against(support.features[tested], members)
    for member in members.tolist():
        others = members[members != member]
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
