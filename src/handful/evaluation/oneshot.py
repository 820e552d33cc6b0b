"""What is read from the scores of few-shot trials, whatever data set they were drawn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handful.data.episodes import Episodes, Indices
from handful.evaluation.scoring import Floats
from handful.methods.matcher import Matcher
from handful.methods.scores import as_score, calibration_of
from handful.metrics import accuracy, auroc, equal_error_rate, wilson_interval

Metrics = dict[str, Any]


def closed_set(scores: Floats, episodes: Episodes) -> Metrics:
    """Return ``accuracy`` and its 95 % ``interval`` over queries whose class is in the support.

    Parameters
    ----------
    scores : ndarray
        (T, Q, ways), larger is more alike; the answer is the best one.
    episodes : Episodes
        The T episodes.
    """
    known = episodes.known
    right = int((scores.argmax(-1) == episodes.target)[known].sum())
    total = int(known.sum())
    return {"accuracy": right / total, "interval": list(wilson_interval(right, total))}


def by_group(scores: Floats, episodes: Episodes, group: Callable[[str], str]) -> dict[str, float]:
    """Return the accuracy of each group of queries, `group` naming it from the query's path."""
    known = episodes.known
    groups = np.array([group(episodes.paths[i]) for i in episodes.query[known]])
    right = (scores.argmax(-1) == episodes.target)[known]
    return {str(name): float(right[groups == name].mean()) for name in np.unique(groups)}


def assignment_accuracy(scores: Floats, episodes: Episodes) -> float:
    """Return the accuracy when each episode's queries have to take different classes.

    The assignment has the largest sum of scores. It uses that the queries of an episode are one
    of each class (it is transductive), so it stands apart from plain accuracy.
    """
    from scipy.optimize import linear_sum_assignment

    right = 0
    for score, target in zip(scores, episodes.target, strict=True):
        queries, classes = linear_sum_assignment(score, maximize=True)
        right += int((target[queries] == classes).sum())
    return right / episodes.target.size


def rejection(matcher: Matcher, scores: Floats, episodes: Episodes) -> Metrics | None:
    """Measure how a method tells known queries from strangers.

    Only episodes that ask both kinds count, so where they ask one of each, half of the `n`
    queries are unknown.

    Returns
    -------
    dict or None
        ``auroc`` of the best score; ``accuracy``: known queries accepted with the right class and
        unknown ones rejected, at the method's own ``threshold`` (both None where it is not
        calibrated); ``n``. None where no episode asks both.
    """
    both = episodes.known.any(1) & episodes.unknown.any(1)
    if not both.any():
        return None
    best = scores[both].max(-1)
    known, unknown = episodes.known[both], episodes.unknown[both]
    calibration, share = calibration_of(matcher), None
    if calibration is not None:
        accepted = score_of(matcher, best) >= calibration.reject
        named = scores[both].argmax(-1) == episodes.target[both]
        right = (accepted & named)[known].sum() + (~accepted)[unknown].sum()
        share = float(right / (known | unknown).sum())
    return {
        "auroc": auroc(best[known], best[unknown]),
        "accuracy": share,
        "threshold": calibration and calibration.reject,
        "n": int((known | unknown).sum()),
    }


def verification(matcher: Matcher, scores: Floats, same: NDArray[np.bool_]) -> Metrics:
    """Measure how a method tells pairs of one class from pairs of two.

    Parameters
    ----------
    matcher : Matcher
        The method.
    scores : ndarray
        (n,) of pairs, larger is more alike.
    same : ndarray
        (n,) whether a pair shows one class.

    Returns
    -------
    dict
        ``auc``; ``accuracy`` at the method's own ``threshold`` (both None where it is not
        calibrated); ``eer``, the equal error rate, which needs no threshold; ``n``.
    """
    calibration, share = calibration_of(matcher), None
    if calibration is not None:
        share = accuracy(score_of(matcher, scores) >= calibration.verify, same)
    return {
        "auc": auroc(scores[same], scores[~same]),
        "accuracy": share,
        "threshold": calibration and calibration.verify,
        "eer": equal_error_rate(scores[same], scores[~same]),
        "n": len(same),
    }


def query_rows(
    matcher: Matcher,
    scores: Floats,
    episodes: Episodes,
    class_of: Callable[[str], str],
    group: Callable[[str], str],
) -> list[dict[str, Any]]:
    """Describe every query: one row each, for ``--per-episode``.

    Parameters
    ----------
    matcher : Matcher
        The method.
    scores : ndarray
        (T, Q, ways).
    episodes : Episodes
        The T episodes, with paths.
    class_of, group : callable
        The name of a class from the path of its first shot; the name of a group from the path
        of the query.

    Returns
    -------
    list of dict
        ``episode``, ``group``, ``query``, ``truth`` (None for a stranger), ``predicted`` (the
        best class), ``score`` in [0, 1], and ``correct``: for a stranger whether it was rejected,
        None where the method has no threshold.
    """
    best, calibration = score_of(matcher, scores.max(-1)), calibration_of(matcher)
    rows = []
    for t, q in np.argwhere(episodes.query >= 0):
        query, target = episodes.paths[episodes.query[t, q]], int(episodes.target[t, q])
        classes = [class_of(episodes.paths[image]) for image in episodes.support[t, :, 0]]
        predicted = int(scores[t, q].argmax())
        correct: bool | None = predicted == target
        if target < 0:
            correct = None if calibration is None else bool(best[t, q] < calibration.reject)
        rows.append(
            {
                "episode": int(t),
                "group": group(query),
                "query": query,
                "truth": classes[target] if target >= 0 else None,
                "predicted": classes[predicted],
                "score": round(float(best[t, q]), 6),
                "correct": correct,
            }
        )
    return rows


def nested_accuracy(scores: Floats, target: Indices, ways: int) -> tuple[int, int]:
    """Count right answers when only `ways` classes of each one-query trial are kept.

    The query's own class stays and classes are dropped from the end, so trials of few ways are
    nested in those of many, and each number of ways has an unbiased accuracy.

    Parameters
    ----------
    scores : ndarray
        (T, most) with most >= `ways`.
    target : ndarray
        (T,) the right class of each trial.
    ways : int
        How many classes to keep.

    Returns
    -------
    right, total : int

    Examples
    --------
    >>> scores, target = np.array([[0.5, 0.2, 0.9]]), np.array([0])
    >>> nested_accuracy(scores, target, 2), nested_accuracy(scores, target, 3)
    ((1, 1), (0, 1))
    """
    place = np.arange(scores.shape[1])
    other = place - (place > target[:, None])  # its number among the classes that are wrong
    kept = (other < ways - 1) | (place == target[:, None])
    right = np.where(kept, scores, -np.inf).argmax(1) == target
    return int(right.sum()), len(target)


def score_of(matcher: Matcher, raw: Floats) -> Floats:
    """Read raw scores of any shape as scores in [0, 1]."""
    return np.asarray(as_score(matcher, torch.from_numpy(raw)), np.float64)
