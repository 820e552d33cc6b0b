"""Codes against codes: how well every query ranks a database by Hamming distance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from handful.methods.hashing import Codes
from handful.metrics.hashing import average_precision, distance_counts, precision_within

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Tiles: TypeAlias = Iterator[tuple[Ints, Ints, Ints]]
"""Some queries, and their hits and images at each distance."""

RADIUS = 2

# distances of one tile of queries
_TILE = 1 << 22


def score_codes(
    database: Codes, labels: Ints, queries: Codes, query_labels: Ints, n_bits: int
) -> tuple[Floats, Floats]:
    """Let every query rank the database by Hamming distance.

    Parameters
    ----------
    database, queries : ndarray
        Packed codes (N, B) and (Q, B).
    labels, query_labels : ndarray
        (N,) and (Q,).
    n_bits : int
        The length of a code.

    Returns
    -------
    average_precision, precision : ndarray
        (Q,): expected average precision, and precision within radius 2.
    """
    classes = len(np.unique(query_labels))
    cheap = n_bits <= 16 and classes * n_bits**2 << n_bits < 8 * len(database) * len(queries)
    count = _by_table if cheap else _by_pairs
    tiles = count(database, labels, queries, query_labels, n_bits)
    precision, ball = np.empty(len(queries)), np.empty(len(queries))
    for rows, hits, total in tiles:
        precision[rows] = average_precision(hits, total)
        ball[rows] = precision_within(hits, total, RADIUS)
    return precision, ball


def _by_table(
    database: Codes, labels: Ints, queries: Codes, query_labels: Ints, n_bits: int
) -> Tiles:
    """Count by a table of all codes, class by class.

    With f(y) the images of code y, H_l(x), those at distance l of x, comes bit by bit: with one
    bit more, H_l(x) gains what H_(l-1) has at x with that bit turned.
    """
    size = 1 << n_bits
    place, asked = _as_numbers(database), _as_numbers(queries)
    total = _spread(np.bincount(place, minlength=size), n_bits)
    for c in np.unique(query_labels):
        rows = np.flatnonzero(query_labels == c)
        hits = _spread(np.bincount(place[labels == c], minlength=size), n_bits)
        yield rows, hits[:, asked[rows]].T, total[:, asked[rows]].T


def _spread(counts: Ints, n_bits: int) -> Ints:
    """Return the images at each distance of every code, (n_bits + 1, 2 ** n_bits)."""
    found = np.zeros((n_bits + 1, len(counts)), np.int64)
    found[0] = counts
    for bit in range(n_bits):
        # codes whose bit is 0 beside those whose bit is 1
        pairs = found[: bit + 1].reshape(bit + 1, -1, 2, 1 << bit)
        turned = pairs[:, :, ::-1].reshape(bit + 1, -1).copy()
        found[1 : bit + 2] += turned
    return found


def _by_pairs(
    database: Codes, labels: Ints, queries: Codes, query_labels: Ints, n_bits: int
) -> Tiles:
    """Count pair by pair, some queries at a time."""
    words, asked = _as_words(database), _as_words(queries)
    step = max(1, _TILE // max(len(words), n_bits))
    for start in range(0, len(asked), step):
        rows = np.arange(start, min(start + step, len(asked)))
        distances = np.zeros((len(rows), len(words)), np.int64)
        for word, ours in zip(words.T, asked[rows].T, strict=True):
            distances += np.bitwise_count(ours[:, None] ^ word)
        same = query_labels[rows, None] == labels
        yield rows, *distance_counts(distances, same, n_bits + 1)


def _as_numbers(codes: Codes) -> Ints:
    wide = np.zeros((len(codes), 2), np.uint8)
    wide[:, : codes.shape[1]] = codes
    return wide.view("<u2")[:, 0].astype(np.int64)


def _as_words(codes: Codes) -> NDArray[np.uint64]:
    wide = np.zeros((len(codes), -(-codes.shape[1] // 8) * 8), np.uint8)
    wide[:, : codes.shape[1]] = codes
    return wide.view(np.uint64)
