"""Omniglot's three one-shot protocols, rejection of strangers, and verification.

- *lake*: the official runs of Lake, Salakhutdinov and Tenenbaum (Science 350, 2015).
- *within-alphabet*: trials drawn from the evaluation alphabets, support and query by two drawers.
- *random-character*: the same with characters of any alphabets, which is easier.

A trial is one query against one support, answered by the best score. The evaluation split is
only measured here; no choice may be made on it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from handful.data.episodes import Episodes, Indices
from handful.data.omniglot import OmniglotSet, read_omniglot
from handful.data.omniglot_runs import read_runs
from handful.data.sampling import (
    runs_to_episodes,
    sample_pairs,
    sample_random_character,
    sample_within_alphabet,
)
from handful.errors import InputError
from handful.evaluation.oneshot import (
    assignment_accuracy,
    by_group,
    closed_set,
    nested_accuracy,
    query_rows,
    rejection,
    verification,
)
from handful.evaluation.published import omniglot_rows
from handful.evaluation.results import Result
from handful.evaluation.scoring import Floats, encode, episode_scores, pair_scores
from handful.methods.matcher import Image, Matcher
from handful.methods.scores import calibration_of
from handful.metrics import wilson_interval

Protocol = Literal["lake", "within-alphabet", "random-character"]
Bools = NDArray[np.bool_]

_PAIRS = 10_000
_SAMPLERS = {
    "within-alphabet": sample_within_alphabet,
    "random-character": sample_random_character,
}


@dataclass(frozen=True, eq=False)
class Task:
    """What is measured, ready for any number of methods.

    Attributes
    ----------
    images : sequence of ndarray
        The images that `episodes` and `pairs` index.
    episodes : Episodes
        The trials; queries of strangers among them ask for rejection.
    pairs : dict
        Verification: by metric name, pairs (N, 2) and whether they are of one character (N,).
    """

    images: Sequence[Image]
    episodes: Episodes
    pairs: dict[str, tuple[Indices, Bools]]


def prepare(
    root: str | os.PathLike[str],
    protocol: Protocol,
    ways: int = 20,
    shots: int = 1,
    trials: int = 2000,
    seed: int = 0,
    episodes: Episodes | None = None,
) -> Task:
    """Read the images and draw the trials; the arguments are those of :func:`evaluate`."""
    if protocol not in get_args(Protocol):
        raise InputError(f"protocol {protocol}: there are {', '.join(get_args(Protocol))}")
    if episodes is not None and episodes.protocol != protocol:
        raise InputError(
            f"the episodes were drawn for the protocol {episodes.protocol}, not {protocol}; "
            f"give --protocol {episodes.protocol}"
        )
    if protocol == "lake":
        runs = read_runs(root)
        drawn = runs_to_episodes(runs) if episodes is None else episodes.over(runs.paths, root)
        return Task(list(runs.images), drawn, {"verification": _run_pairs(drawn, seed)})
    dataset = read_omniglot(root, "evaluation")
    if episodes is None:
        drawn = _SAMPLERS[protocol](dataset, trials, ways, shots, seed, unknown=True)
    else:
        drawn = episodes.over(dataset.paths, dataset.root)
    pairs = {
        "verification": sample_pairs(dataset, _PAIRS, "split", seed),
        "verification_within_alphabet": sample_pairs(dataset, _PAIRS, "alphabet", seed),
    }
    return Task(list(dataset.images), drawn, pairs)


def evaluate(
    matcher: Matcher,
    root: str | os.PathLike[str],
    protocol: Protocol,
    ways: int = 20,
    shots: int = 1,
    trials: int = 2000,
    seed: int = 0,
    episodes: Episodes | None = None,
) -> Result:
    """Measure a method on Omniglot.

    Parameters
    ----------
    matcher : Matcher
        The method. Where it has a ``calibration``, rejection and verification are also measured
        at its thresholds.
    root : path-like
        For *lake* the folder of run01, run02, ...; else a folder that
        :func:`handful.data.omniglot.read_omniglot` reads.
    protocol : {"lake", "within-alphabet", "random-character"}
        How trials are drawn.
    ways, shots, trials, seed : int
        Of the drawn trials; the runs of *lake* are taken as they are.
    episodes : Episodes, optional
        Trials to replay instead of drawing some.

    Returns
    -------
    Result
        With ``metrics``: ``accuracy`` and its 95 % ``interval``; ``per_alphabet`` (or
        ``per_run``); ``rejection`` (:func:`handful.evaluation.oneshot.rejection`);
        ``verification`` of pairs from anywhere and ``verification_within_alphabet``
        (:func:`handful.evaluation.oneshot.verification`); for *lake* ``assignment_accuracy``
        (:func:`handful.evaluation.oneshot.assignment_accuracy`).
    """
    return measure(matcher, prepare(root, protocol, ways, shots, trials, seed, episodes))


def measure(matcher: Matcher, task: Task) -> Result:
    """Measure a method on trials that :func:`prepare` made; the result is :func:`evaluate`'s."""
    start = time.perf_counter()
    episodes, lake = task.episodes, task.episodes.protocol == "lake"
    needed = [episodes.used, *(pairs.ravel() for pairs, _ in task.pairs.values())]
    features = encode(matcher, task.images, np.concatenate(needed))
    scores = episode_scores(matcher, features, episodes)
    if np.isnan(scores[episodes.query >= 0]).any():
        raise InputError(f"{matcher.name}: its scores are not numbers; its weights are damaged")
    metrics = closed_set(scores, episodes)
    if lake:
        metrics["assignment_accuracy"] = assignment_accuracy(scores, episodes)
    metrics["per_run" if lake else "per_alphabet"] = by_group(scores, episodes, _first_folder)
    metrics["rejection"] = rejection(matcher, scores, episodes)
    for name, (pairs, same) in task.pairs.items():
        metrics[name] = verification(matcher, pair_scores(matcher, features, pairs), same)
    calibration = calibration_of(matcher)
    return Result(
        protocol=episodes.protocol,
        model=matcher.name,
        backbone=matcher.backbone,
        n=int(episodes.known.sum()),
        metrics=metrics,
        published=omniglot_rows(episodes.protocol, episodes.ways, episodes.shots),
        seconds=time.perf_counter() - start,
        settings={
            "dataset": "omniglot",
            "ways": episodes.ways,
            "shots": episodes.shots,
            "threshold": calibration and calibration.reject,
        },
        # in a run one folder holds all classes, so a class is named by its image
        rows=query_rows(matcher, scores, episodes, str if lake else _folder, _first_folder),
    )


@dataclass(frozen=True, eq=False)
class Curve:
    """Accuracy over the number of ways, each with its 95 % interval; all arrays (n,)."""

    model: str
    ways: Indices
    accuracy: Floats
    low: Floats
    high: Floats


def ways_curve(
    matcher: Matcher,
    dataset: OmniglotSet,
    ways: Sequence[int] = range(2, 21),
    trials: int = 2000,
    seed: int = 0,
) -> Curve:
    """Measure one-shot accuracy over the number of ways, within alphabets.

    The trials of the most ways are drawn and scored once, and cut down for fewer ways by
    :func:`handful.evaluation.oneshot.nested_accuracy`.
    """
    episodes = sample_within_alphabet(dataset, trials, max(ways), seed=seed)
    features = encode(matcher, list(dataset.images), episodes.used)
    scores = episode_scores(matcher, features, episodes)[:, 0]
    counts = [nested_accuracy(scores, episodes.target[:, 0], count) for count in ways]
    low, high = np.array([wilson_interval(*count) for count in counts]).T
    share = np.array([right / total for right, total in counts])
    return Curve(matcher.name, np.array(ways), share, low, high)


def _run_pairs(episodes: Episodes, seed: int) -> tuple[Indices, Bools]:
    """Pair each query with its own class and with one other of its run."""
    rng = np.random.default_rng(seed)
    images, target = episodes.support[:, :, 0], episodes.target
    other = (target + rng.integers(1, episodes.ways, target.shape)) % episodes.ways
    second = [np.take_along_axis(images, t, 1).ravel() for t in (target, other)]
    pairs = np.column_stack([np.tile(episodes.query.ravel(), 2), np.concatenate(second)])
    return pairs, np.arange(len(pairs)) < target.size


def _first_folder(path: str) -> str:
    """Return the alphabet of a query, or its run."""
    return path.split("/")[0]


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)
