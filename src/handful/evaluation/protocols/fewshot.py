"""N-way K-shot recognition in any folder of classes.

Every photo is encoded once; an episode is then a small problem on features, solved by a head.
The interval is that of the mean over episodes: it says how far the draw of episodes may have moved
the figure, not how it would change with other classes or photos.
"""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.data.class_folders import ClassFolders
from handful.data.episodes import Episodes
from handful.data.progress import track
from handful.data.sampling import sample_fewshot
from handful.errors import InputError
from handful.evaluation.folders import dataset_name
from handful.evaluation.results import Result
from handful.evaluation.scoring import Features, episode_scores
from handful.evaluation.strangers import MOST, confusion, measure_strangers
from handful.methods.encoding import EncodedFolder, encode_folder
from handful.methods.heads import Head, HeadName, default_head, make_head
from handful.methods.matcher import Matcher
from handful.metrics import mean_interval

HeadChoice = Literal["auto", "own", "prototype", "logistic", "nearest"]
"""``own``: as the method itself compares and merges shots. ``auto``: for a method that merges shots
by their mean the default head for so many shots, for any other ``own``."""

# bytes of gathered features: within a core's cache a batch is scored several times faster
_BATCH_BYTES = 1 << 22
# episodes whose scores are held at once
_CHUNK = 1000
# a confusion matrix of more classes is read by nobody
_TABLE = 12


def measure(
    matcher: Matcher,
    folder: ClassFolders,
    ways: int = 5,
    shots: int = 1,
    queries: int = 15,
    episodes: int = 10_000,
    seed: int = 0,
    head: HeadChoice = "auto",
    strangers: int = 0,
) -> Result:
    """Measure a method on episodes drawn from a folder of classes.

    Parameters
    ----------
    matcher : Matcher
        The method.
    folder : ClassFolders
        The images. Classes of at most `shots` images take no part. Where they have groups, none
        is in the support and among the queries of one episode.
    ways, shots : int
        Classes in a support, and examples of each.
    queries : int
        Queries of each class at most; a class with fewer images left over gives all of them.
    episodes : int
        How many episodes, at least two.
    seed : int
        What they are drawn from: the same readable files give the same episodes.
    head : {"auto", "own", "prototype", "logistic", "nearest"}
        What classifies the features.
    strangers : int
        Further classes of an episode, without examples, whose images are to be rejected.

    Returns
    -------
    Result
        With ``metrics``: ``accuracy``, the mean over episodes of the share of right answers, and
        its 95 % ``interval``; where every class (of at most 12) is in each episode, ``confusion``;
        where there are
        strangers, ``rejection`` (:func:`handful.evaluation.strangers.measure_strangers`); ``n``
        is the number of queries answered.

    Raises
    ------
    InputError
        Too few classes have enough images, or a head that the method's features do not fit.
    """
    start = time.perf_counter()
    # what cannot be drawn need not be encoded
    _draw(folder, ways + strangers, shots, queries, 1, seed)
    encoded = encode_folder(matcher, folder)
    drawn = _draw(encoded.folder, ways, shots, queries, episodes, seed)
    chosen = _choose(head, matcher, encoded.features, shots)
    predicted = (
        _own(matcher, encoded, drawn)
        if chosen == "own"
        else predict(make_head(chosen), encoded.features, drawn)
    )
    share = np.asarray(((predicted == drawn.target) & drawn.known).sum(1) / drawn.known.sum(1))
    low, high = mean_interval(share)
    metrics: dict[str, Any] = {
        "accuracy": float(share.mean()),
        "interval": [max(low, 0.0), min(high, 1.0)],
    }
    if ways == len(encoded.folder.classes) <= _TABLE:
        metrics["confusion"] = confusion(encoded.folder.labels, drawn, predicted.tolist())
    if strangers:
        few = min(episodes, MOST)
        mixed = _draw(encoded.folder, ways + strangers, shots, queries, few, seed)
        metrics["rejection"] = measure_strangers(matcher, encoded.features, mixed, ways)
    return Result(
        protocol="fewshot",
        model=matcher.name,
        backbone=matcher.backbone,
        n=int(drawn.known.sum()),
        metrics=metrics,
        published=[],
        seconds=time.perf_counter() - start,
        settings={
            "dataset": dataset_name(folder.root),
            "ways": ways,
            "shots": shots,
            "queries": queries,
            "episodes": episodes,
            "head": chosen,
            "classes": len(encoded.folder.classes),
            "images": len(encoded.folder),
            **({} if encoded.folder.groups is None else {"groups": _groups(encoded.folder)}),
            "skipped": [list(pair) for pair in encoded.folder.skipped],
        },
        rows=[{"episode": t, "accuracy": round(float(value), 6)} for t, value in enumerate(share)],
    )


@torch.no_grad()
def predict(head: Head, features: Tensor, episodes: Episodes) -> NDArray[np.int64]:
    """Answer every query of every episode by a head fitted on its support.

    Parameters
    ----------
    head : Head
        The classifier.
    features : Tensor
        Vectors (N, D) of the images that the episodes index.
    episodes : Episodes
        The T episodes.

    Returns
    -------
    ndarray
        (T, Q) the best class of each query; of no meaning where ``episodes.query`` is -1.
    """
    index = torch.arange(episodes.ways).repeat_interleave(episodes.shots)
    support = torch.from_numpy(episodes.support).flatten(1)
    query = torch.from_numpy(np.maximum(episodes.query, 0))
    images = support.shape[1] + query.shape[1]
    step = max(1, _BATCH_BYTES // (features[0].nbytes * images))
    predicted = np.empty(episodes.query.shape, np.int64)
    starts = range(0, len(episodes), step)
    for start in track(starts, f"episodes with the head {head.name}", len(starts)):
        part = slice(start, start + step)
        scores = head.fit(features[support[part]], index, episodes.ways)(features[query[part]])
        predicted[part] = scores.argmax(-1).numpy()
    return predicted


def _own(matcher: Matcher, encoded: EncodedFolder, episodes: Episodes) -> NDArray[np.int64]:
    """Answer as the method itself compares: (T, Q)."""
    features = Features(encoded.features, np.arange(len(encoded.features)))
    parts = []
    for start in range(0, len(episodes), _CHUNK):
        part = episodes.take(range(start, min(start + _CHUNK, len(episodes))))
        parts.append(episode_scores(matcher, features, part).argmax(-1))
    return np.concatenate(parts)


def _draw(
    folder: ClassFolders, ways: int, shots: int, queries: int, episodes: int, seed: int
) -> Episodes:
    try:
        groups = folder.group_numbers
        return sample_fewshot(
            folder.labels, ways, shots, queries, episodes, seed, folder.names, groups
        )
    except InputError as error:
        raise InputError(f"{folder.root}: {error}") from error


def _groups(folder: ClassFolders) -> int:
    """Return how many groups there are."""
    numbers = folder.group_numbers
    return 0 if numbers is None else len(np.unique(numbers))


def _choose(
    head: HeadChoice, matcher: Matcher, features: Tensor, shots: int
) -> Literal["own"] | HeadName:
    if head == "auto":
        return "own" if matcher.pool(features[:1]) is None else default_head(shots)
    if head != "own" and features.ndim != 2:
        raise InputError(f"{matcher.name}: its features are no vectors; give --head own")
    return head
