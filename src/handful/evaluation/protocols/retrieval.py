"""Retrieval in any folder of classes: every image queries all others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handful.data.class_folders import ClassFolders
from handful.errors import InputError
from handful.evaluation.folders import dataset_name
from handful.evaluation.results import Result
from handful.methods.encoding import encode_folder
from handful.methods.matcher import Matcher
from handful.metrics.retrieval import retrieve

KS: tuple[int, ...] = (1, 2, 4, 8)


def measure(
    matcher: Matcher,
    folder: ClassFolders,
    ks: Sequence[int] = KS,
    published: Sequence[dict[str, Any]] = (),
) -> Result:
    """Measure a method: its own comparison of two images orders the results.

    Parameters
    ----------
    matcher : Matcher
        The method.
    folder : ClassFolders
        The images; one that is alone in its class is found by others, but is no query. What is of
        the query's own group is not among its results.
    ks : sequence of int
        The lengths of a result list, 1 among them.
    published : sequence of dict
        The papers' rows of the same set.

    Returns
    -------
    Result
        With ``metrics``: ``recall@k`` for every k of `ks`, ``map@r``
        (:func:`handful.metrics.retrieval.retrieve`) and ``interval``, Wilson's 95 % interval of
        ``recall@1``; ``n`` is the number of queries.

    Raises
    ------
    InputError
        No class has two images (of two groups) that can be read.
    """
    start = time.perf_counter()
    encoded = encode_folder(matcher, folder)
    read, features = encoded.folder, encoded.features
    groups = read.group_numbers
    apart = range(len(read)) if groups is None else groups.tolist()
    if len(set(read.labels)) == len(set(zip(read.labels, apart, strict=True))):
        what = "images" if groups is None else "groups of images"
        raise InputError(f"{read.root}: no class has two {what}; give more of each")

    @torch.no_grad()
    def rows(part: slice) -> NDArray[Any]:
        return np.asarray(matcher.compare(features[part], features))

    found = retrieve(rows, read.labels, ks, groups)
    metrics: dict[str, Any] = {f"recall@{k}": found.recall_at(k) for k in ks}
    metrics["interval"] = list(found.interval_at(1))
    metrics["map@r"] = found.map_at_r
    return Result(
        protocol="retrieval",
        model=matcher.name,
        backbone=matcher.backbone,
        n=len(found.query),
        metrics=metrics,
        published=list(published),
        seconds=time.perf_counter() - start,
        settings={
            "dataset": dataset_name(read.root),
            "classes": len(read.classes),
            "images": len(read),
            **({} if groups is None else {"groups": len(set(groups.tolist()))}),
            "skipped": [list(pair) for pair in read.skipped],
        },
        rows=[
            {"query": read.names[i], "label": read.labels[i]}
            | {f"recall@{k}": round(float(value), 6) for k, value in zip(ks, recall, strict=True)}
            for i, recall in zip(found.query, found.recall, strict=True)
        ],
    )
