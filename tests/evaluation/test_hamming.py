from __future__ import annotations

import numpy as np
import pytest

from handful.evaluation import hamming
from handful.evaluation.hamming import score_codes
from handful.methods.hashing import pack


@pytest.mark.parametrize("n_bits", [1, 5, 8, 12, 16, 17, 40, 70])
def test_every_query_ranks_the_database(n_bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "_TILE", 1000)
    rng = np.random.default_rng(n_bits)
    ours, theirs = rng.random((300, n_bits)) < 0.5, rng.random((12, n_bits)) < 0.5
    labels, asked = rng.integers(0, 4, 300), rng.integers(0, 4, 12)
    precision, ball = score_codes(pack(ours), labels, pack(theirs), asked, n_bits)
    for q in range(12):
        distance = (ours != theirs[q]).sum(1)
        right = labels == asked[q]
        # the mean over random orders of the ties
        order = np.argsort(distance + 0.5 * rng.random((200, 300)), axis=1)
        ranked = right[order]
        values = (ranked * ranked.cumsum(1) / np.arange(1, 301)).sum(1) / right.sum()
        assert precision[q] == pytest.approx(values.mean(), abs=4 * values.std() / 14 + 1e-9)
        near = right[distance <= 2]
        assert ball[q] == pytest.approx(near.mean() if len(near) else 0)


def test_the_table_and_the_pairs_agree() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.integers(0, 256, (500, 2), np.uint8), rng.integers(0, 256, (50, 2), np.uint8)
    labels, asked = rng.integers(0, 5, 500), rng.integers(0, 5, 50)
    wide = np.zeros((500, 3), np.uint8), np.zeros((50, 3), np.uint8)
    wide[0][:, :2], wide[1][:, :2] = ours, theirs
    table = score_codes(ours, labels, theirs, asked, 16)
    pairs = score_codes(wide[0], labels, wide[1], asked, 24)
    np.testing.assert_allclose(table, pairs, atol=1e-12)
