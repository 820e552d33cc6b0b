from __future__ import annotations

from typing import Any

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


def test_the_table_and_the_pairs_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def table(*given: Any) -> hamming.Tiles:
        called.append(given[-1])
        return by_table(*given)

    by_table = hamming._by_table
    monkeypatch.setattr(hamming, "_by_table", table)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (3000, 3), np.uint8)
    labels = rng.integers(0, 5, 3000)
    codes[:, 2] = 0
    for n_bits in (2, 10):
        size = -(-n_bits // 8)
        ours = codes[:, :size].copy(), labels, codes[:300, :size].copy(), labels[:300]
        wide = codes.copy(), labels, codes[:300].copy(), labels[:300]
        wide[0][:, size:], wide[2][:, size:] = 0, 0
        np.testing.assert_allclose(score_codes(*ours, n_bits), score_codes(*wide, 24), atol=1e-12)
    assert called == [2, 10]
