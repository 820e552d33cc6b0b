"""How well a method says "none of these": episodes whose queries are half of unknown classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from handful.data.episodes import Episodes
from handful.data.progress import track
from handful.evaluation.oneshot import score_of
from handful.methods.matcher import Matcher
from handful.methods.scores import calibration_of
from handful.methods.support_set import SupportSet
from handful.metrics import auroc

MOST = 1000
"""Episodes that are scored at most: each fits its support as the verb does."""


@torch.no_grad()
def measure_strangers(
    matcher: Matcher, features: Tensor, episodes: Episodes, ways: int
) -> dict[str, Any]:
    """Measure rejection as ``handful recognize`` does it.

    Parameters
    ----------
    matcher : Matcher
        The method.
    features : Tensor
        (N, ...) of the images that the episodes index.
    episodes : Episodes
        With more classes than `ways`: the further ones give no support, and their queries are the
        strangers.
    ways : int
        Classes of a support.

    Returns
    -------
    dict
        ``auroc`` of the best score, known against strangers; ``accuracy``: known queries named
        rightly and accepted, strangers rejected, the two weighing alike, at the method's
        ``threshold`` (both None where it has none); ``strangers``, how many classes of them an
        episode has; ``n`` queries.
    """
    index = torch.arange(ways).repeat_interleave(episodes.shots)
    best, right, known = [], [], []
    for row in track(range(len(episodes)), "strangers", len(episodes)):
        asked = np.flatnonzero(episodes.query[row] >= 0)
        support = features[torch.from_numpy(episodes.support[row, :ways].ravel())]
        query = features[torch.from_numpy(episodes.query[row, asked])]
        scores = SupportSet(matcher, support, index).raw(query)
        target = episodes.target[row, asked]
        best.append(scores.amax(1).numpy())
        right.append(scores.argmax(1).numpy() == target)
        known.append(target < ways)
    top, named, own = (np.concatenate(x) for x in (best, right, known))
    calibration, share = calibration_of(matcher), None
    if calibration is not None:
        accepted = score_of(matcher, top) >= calibration.reject
        share = float(0.5 * ((accepted & named)[own].mean() + (~accepted)[~own].mean()))
    return {
        "auroc": auroc(top[own], top[~own]),
        "accuracy": share,
        "threshold": calibration and calibration.reject,
        "strangers": episodes.ways - ways,
        "episodes": len(episodes),
        "n": len(top),
    }


def confusion(
    labels: Sequence[str], episodes: Episodes, predicted: Sequence[Sequence[int]]
) -> dict[str, dict[str, int]]:
    """Count the answers of episodes by true class, then by answered class.

    Parameters
    ----------
    labels : sequence of str
        The class of each image that the episodes index.
    episodes : Episodes
        Every class is in each of them.
    predicted : array_like
        (T, Q): the answered class of each query, as a place in its episode's support.
    """
    classes = sorted(set(labels))
    number = {label: place for place, label in enumerate(classes)}
    way = np.array([[number[labels[i]] for i in row] for row in episodes.support[:, :, 0]])
    rows = np.arange(len(episodes))[:, None]
    asked = episodes.query >= 0
    true = way[rows, np.maximum(episodes.target, 0)][asked]
    given = way[rows, np.asarray(predicted)][asked]
    table = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(table, (true, given), 1)
    return {
        label: dict(zip(classes, map(int, counts), strict=True))
        for label, counts in zip(classes, table, strict=True)
    }
