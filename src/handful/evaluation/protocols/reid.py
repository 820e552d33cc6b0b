"""Re-identification: queries search a gallery for other views of whom they show."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handful.data.retrieval_sets import ReidSet
from handful.errors import InputError
from handful.evaluation.folders import dataset_name
from handful.evaluation.published_retrieval import reid_rows
from handful.evaluation.results import Result
from handful.methods.encoding import encode_folder
from handful.methods.matcher import Matcher
from handful.metrics.accuracy import mean_interval
from handful.metrics.reid import Reidentification, reidentify

KS = (1, 5, 10)

# queries of CUHK03-NP: a part of it is not what was published
_WHOLE = {"cuhk03": 1_400}


def measure(matcher: Matcher, images: ReidSet, layout: str = "folders") -> Result:
    """Measure a method: its own comparison of two images orders the gallery.

    Parameters
    ----------
    matcher : Matcher
        The method.
    images : ReidSet
        Queries and gallery.
    layout : str
        How the set is kept; the result says it.

    Returns
    -------
    Result
        With ``metrics``: ``cmc@1``, ``cmc@5``, ``cmc@10``, ``map``
        (:func:`handful.metrics.reid.reidentify`), ``map_trapezoid`` (the same by trapezoids, as
        Market-1501's own code), ``interval``, Wilson's 95 % interval of ``cmc@1``, and
        ``map_interval``, Student's of ``map``; ``n`` is the number of queries with a right
        answer.

    Raises
    ------
    InputError
        No query has a right answer among the images that can be read.
    """
    start = time.perf_counter()
    encoded = encode_folder(matcher, images.images)
    place = {picture: i for i, picture in enumerate(images.images.names)}
    kept = [place[name] for name in encoded.folder.names]
    known = images.images.skipped
    read = images.take(kept, encoded.folder.skipped[len(known) :])
    found = _search(matcher, encoded.features, read)
    metrics: dict[str, Any] = {f"cmc@{k}": found.cmc_at(k) for k in KS}
    metrics["interval"] = list(found.interval_at(1))
    metrics["map"] = found.map
    if len(found.query) > 1:
        metrics["map_interval"] = list(mean_interval(found.average_precision))
    metrics["map_trapezoid"] = float(found.trapezoid.mean())
    queries = np.flatnonzero(read.query)
    return Result(
        protocol="reid",
        model=matcher.name,
        backbone=matcher.backbone,
        n=len(found.query),
        metrics=metrics,
        published=reid_rows(layout) if _WHOLE.get(layout) == len(queries) else [],
        seconds=time.perf_counter() - start,
        settings={
            "dataset": dataset_name(read.images.root),
            "layout": layout,
            "identities": len(set(np.array(read.images.labels)[queries].tolist())),
            "queries": len(queries),
            "gallery": int(read.gallery.sum()),
            "cameras": None if read.camera is None else len(np.unique(read.camera)),
            "junk": read.junk,
            "skipped": [list(pair) for pair in read.images.skipped],
        },
        rows=_rows(read, queries, found),
    )


def _search(matcher: Matcher, features: torch.Tensor, read: ReidSet) -> Reidentification:
    queries, gallery = np.flatnonzero(read.query), np.flatnonzero(read.gallery)
    identity = np.array(read.images.labels)
    # an image that searches and is searched does not find itself
    where = np.full(len(read), -1)
    where[gallery] = np.arange(len(gallery))
    searched = features[torch.from_numpy(gallery)]

    @torch.no_grad()
    def scores(chosen: NDArray[np.int64]) -> NDArray[Any]:
        asking = features[torch.from_numpy(queries[chosen])]
        return np.asarray(matcher.compare(asking, searched))

    camera = read.camera
    try:
        return reidentify(
            scores,
            *(identity[queries], identity[gallery]),
            None if camera is None else camera[queries],
            None if camera is None else camera[gallery],
            ks=KS,
            junk=None,
            same_image=where[queries],
        )
    except ValueError as error:
        if "nothing can be found" not in str(error):
            raise
        whose = "" if camera is None else " by another camera"
        raise InputError(
            f"{read.images.root}: no query has another image of its identity{whose} to find; give"
            " more of each"
        ) from error


def _rows(
    read: ReidSet, queries: NDArray[np.int64], found: Reidentification
) -> list[dict[str, Any]]:
    names, labels = read.images.names, read.images.labels
    return [
        {
            "query": names[i],
            "identity": labels[i],
            **{f"cmc@{k}": round(float(value), 6) for k, value in zip(KS, cmc, strict=True)},
            "average_precision": round(float(precision), 6),
        }
        for i, cmc, precision in zip(
            queries[found.query], found.cmc, found.average_precision, strict=True
        )
    ]
