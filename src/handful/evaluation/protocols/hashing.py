"""Few-shot retrieval by codes: hash functions from a few examples, then Hamming distance.

Y.-X. Wang, L. Gui, M. Hebert, "Few-shot hash learning for image retrieval", ICCV workshops 2017,
section 4: a few images of each class are drawn from the database; methods learn (or select) a code
from them, or from unlabelled images; every query ranks the whole database by Hamming distance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from handful.data.progress import track
from handful.errors import InputError
from handful.evaluation.hamming import score_codes
from handful.evaluation.results import Result
from handful.methods import hashing
from handful.methods.hashing import Hasher, HashLibrary
from handful.metrics.accuracy import mean_interval

Features: TypeAlias = NDArray[np.floating]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

OURS = ("ugh", "handful-votes", "ugh-similarity", "ugh-random", "ugh-category", "all-codes")
"""Models that need a library of hash functions."""

SEMI = ("handful-bits", "handful-votes", "ugh-similarity")
"""Models that learn from the examples and from unlabelled images besides."""

RIVALS: dict[str, Callable[[int, int], Hasher]] = {
    rival.name: rival
    for rival in (
        hashing.LSH,
        hashing.PCAITQ,
        hashing.CCAITQ,
        hashing.KSH,
        hashing.SDH,
        hashing.DBC,
        hashing.SpectralHashing,
        hashing.FastHash,
        hashing.SphericalHashing,
        hashing.KMeansHashing,
        hashing.BinaryAutoencoder,
    )
}
"""The other models by name; each takes a number of bits and a seed."""

BACKGROUND = 2000
"""Unlabelled images at most that a model of `SEMI` learns from."""

MODELS = ("handful-bits", *OURS, *RIVALS)


@dataclass(frozen=True, eq=False)
class Task:
    """What is retrieved from what.

    Attributes
    ----------
    database, queries : ndarray
        Features (N, D) and (Q, D).
    database_labels, query_labels : ndarray
        Their classes as numbers 0..C-1, (N,) and (Q,).
    unlabelled : ndarray or None
        Features (M, D) of other images, which unsupervised methods learn from; None: they learn
        from the database, without its labels.
    library : HashLibrary or None
        The hash functions of `OURS`.
    about : dict
        What else a result says: ``dataset``, ``backbone``, ...
    """

    database: Features
    database_labels: Ints
    queries: Features
    query_labels: Ints
    unlabelled: Features | None = None
    library: HashLibrary | None = None
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """How a task is measured.

    Attributes
    ----------
    shots : int
        Examples of each class.
    bits : int
        The length of a code.
    repeats : int
        How often examples are drawn; at least 2.
    seed : int
        What they are drawn from. The examples of fewer shots are among those of more.
    learn : int
        Unlabelled images at most that unsupervised methods learn from, drawn once.
    prefilter : int or None
        Of `ugh` and `ugh-category`, see `handful.methods.hashing.UGH`.
    """

    shots: int = 10
    bits: int = 16
    repeats: int = 10
    seed: int = 0
    learn: int = 20_000
    prefilter: int | None = None


def measure(task: Task, models: Sequence[str], setting: Setting) -> list[Result]:
    """Measure models on the same examples.

    Parameters
    ----------
    task : Task
        The images.
    models : sequence of str
        Of `MODELS`.
    setting : Setting
        Shots, bits and repeats.

    Returns
    -------
    list of Result
        One for each model, with ``metrics``: ``map`` over the whole database and ``precision@2``
        within Hamming radius 2, the means over repeats; ``interval`` and ``interval@2`` of these,
        Student's 95 % over the repeats; and ``against``: for each other model, the mean
        ``difference`` of ``map``, paired by repeat, and its ``interval``.

    Raises
    ------
    InputError
        An unknown model, one that needs a library, or a class with too few images.
    """
    _check(task, models, setting)
    start = dict.fromkeys(models, 0.0)
    maps = {model: np.empty(setting.repeats) for model in models}
    precisions = {model: np.empty(setting.repeats) for model in models}
    random_bits = dict.fromkeys(models, 0)
    jobs = [(repeat, model) for repeat in range(setting.repeats) for model in models]
    for repeat, model in track(jobs, "hashing", len(jobs)):
        begun = time.perf_counter()
        if model == "all-codes" and repeat:  # nothing in it is left to chance
            maps[model][repeat], precisions[model][repeat] = maps[model][0], precisions[model][0]
            continue
        found = [*_scores(task, model, setting, repeat)]
        precision = np.concatenate([scores[0] for scores, _ in found])
        ball = np.concatenate([scores[1] for scores, _ in found])
        maps[model][repeat], precisions[model][repeat] = precision.mean(), ball.mean()
        random_bits[model] = max(random for _, random in found)
        start[model] += time.perf_counter() - begun
    return [
        Result(
            protocol="hashing",
            model=model,
            backbone=str(task.about.get("backbone", "none")),
            n=len(task.queries),
            metrics=_metrics(model, maps, precisions),
            published=[],
            seconds=start[model],
            settings=_settings(task, model, setting, random_bits[model]),
            rows=[
                {"repeat": r, "map": round(m, 6), "precision@2": round(p, 6)}
                for r, (m, p) in enumerate(
                    zip(maps[model].tolist(), precisions[model].tolist(), strict=True)
                )
            ],
        )
        for model in models
    ]


def draw_shots(labels: Ints, shots: int, seed: int, repeat: int) -> Ints:
    """Draw `shots` images of each class, as numbers of rows; those of fewer shots are among them.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 1, 1, 1])
    >>> one, two = draw_shots(labels, 1, 0, 0), draw_shots(labels, 2, 0, 0)
    >>> labels[one].tolist(), set(one) < set(two)
    ([0, 1], True)
    """
    order = np.random.default_rng([seed, repeat]).permutation(len(labels))
    classes = range(int(labels.max()) + 1)
    return np.concatenate([order[labels[order] == c][:shots] for c in classes])


def _scores(
    task: Task, model: str, setting: Setting, repeat: int
) -> Iterator[tuple[tuple[Floats, Floats], int]]:
    """Yield the scores of some queries and the random bits of their code.

    It is one code for all queries, but for the oracle: there every class has its own.
    """
    shots = draw_shots(task.database_labels, setting.shots, setting.seed, repeat)
    support, labels = np.asarray(task.database[shots]), task.database_labels[shots]
    classes = np.unique(task.query_labels) if model == "ugh-category" else [None]
    for category in classes:
        hasher = _hasher(task, model, setting, repeat, category)
        if hasher.supervised:
            hasher.fit(support, labels)
        else:
            hasher.fit(_learnable(task, setting))
        rows = (
            np.flatnonzero(task.query_labels == category) if category is not None else slice(None)
        )
        scores = score_codes(
            hasher.transform(task.database),
            task.database_labels,
            hasher.transform(task.queries[rows]),
            task.query_labels[rows],
            hasher.n_bits,
        )
        yield scores, hasher.random_bits_


def _hasher(task: Task, model: str, setting: Setting, repeat: int, category: object) -> Hasher:
    seed = int(np.random.SeedSequence([setting.seed, repeat]).generate_state(1)[0])
    if model in RIVALS:
        return RIVALS[model](setting.bits, seed)
    background = _learnable(task, replace(setting, learn=BACKGROUND))
    if model == "handful-bits":
        return hashing.HandfulBits(setting.bits, seed, background)
    assert task.library is not None
    if model == "handful-votes":
        return hashing.HandfulVotes(task.library, setting.bits, seed, background)
    selections: dict[str, hashing.Selection] = {
        "ugh": "shared",
        "ugh-similarity": "similarity",
        "ugh-random": "random",
        "ugh-category": "category",
        "all-codes": "all",
    }
    return hashing.UGH(
        task.library, setting.bits, seed, selections[model], category, setting.prefilter, background
    )


def _learnable(task: Task, setting: Setting) -> Features:
    """Return the unlabelled images that unsupervised methods learn from."""
    corpus = task.database if task.unlabelled is None else task.unlabelled
    rng = np.random.default_rng([setting.seed, len(corpus)])
    return np.asarray(corpus[np.sort(rng.permutation(len(corpus))[: setting.learn])])


def _metrics(model: str, maps: dict[str, Floats], precisions: dict[str, Floats]) -> dict[str, Any]:
    ours = maps[model]
    return {
        "map": float(ours.mean()),
        "interval": [*mean_interval(ours)],
        "precision@2": float(precisions[model].mean()),
        "interval@2": [*mean_interval(precisions[model])],
        "against": {
            other: {
                "difference": float((ours - theirs).mean()),
                "interval": [*mean_interval(ours - theirs)],
            }
            for other, theirs in maps.items()
            if other != model
        },
    }


def _settings(task: Task, model: str, setting: Setting, random_bits: int) -> dict[str, Any]:
    about = {key: value for key, value in task.about.items() if key != "backbone"}
    bits = len(task.library) if model == "all-codes" and task.library else setting.bits
    found = about | {"shots": setting.shots, "bits": bits, "repeats": setting.repeats}
    found |= {"database": len(task.database), "classes": int(task.database_labels.max()) + 1}
    if random_bits:
        found["random_bits"] = random_bits
    if model in OURS and task.library is not None:
        found["functions"] = len(task.library)
    if model in ("ugh", "ugh-category") and setting.prefilter is not None:
        found["prefilter"] = setting.prefilter
    unsupervised = model in RIVALS and not RIVALS[model](1, 0).supervised
    if unsupervised or model in SEMI:
        found["learned_on"] = "database" if task.unlabelled is None else "unlabelled"
    return found


def _check(task: Task, models: Sequence[str], setting: Setting) -> None:
    for model in models:
        if model not in MODELS:
            raise InputError(f"model {model!r}: is one of {', '.join(MODELS)}")
    if task.library is None and (needy := [model for model in models if model in OURS]):
        raise InputError(f"{needy[0]}: needs a library of hash functions; give --library")
    if setting.repeats < 2:
        raise InputError(f"{setting.repeats} repeats: give 2 or more, for the interval")
    least = int(np.bincount(task.database_labels).min())
    if least < setting.shots:
        raise InputError(f"{setting.shots} shots: a class of the database has {least} images")
