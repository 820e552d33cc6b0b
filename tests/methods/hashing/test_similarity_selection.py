from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from handful.errors import InputError
from handful.methods.hashing import UGH, HashLibrary, unpack
from handful.methods.hashing.similarity_selection import (
    EVEN,
    LABELS,
    SHARPNESS,
    SOFT,
    select_similar,
    similarity_target,
)

Clusters = tuple[NDArray[np.float64], NDArray[np.int64]]


@pytest.mark.parametrize("seed", range(4))
def test_every_step_lowers_the_loss_most(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits, target = rng.random((30, 12)) < 0.5, rng.normal(size=(12, 3))
    weights = rng.random(12)
    weights /= weights.sum()
    chosen = select_similar(bits, target, weights, 5)
    signs = np.where(bits, 1.0, -1.0)
    pairs = np.outer(weights, weights)

    def loss(which: list[int]) -> float:
        return float((pairs * (5 * target @ target.T - signs[which].T @ signs[which]) ** 2).sum())

    for step in range(5):
        before = chosen[:step].tolist()
        others = [i for i in range(30) if i not in before]
        best = min(loss([*before, i]) for i in others)
        assert loss(chosen[: step + 1].tolist()) == pytest.approx(best, rel=1e-5)


def test_the_target_is_cosines_and_classes() -> None:
    rng = np.random.default_rng(0)
    background, examples = rng.normal(size=(20, 6)), rng.normal(size=(6, 6))
    number = np.array([0, 0, 1, 1, 2, 2])
    target, weights = similarity_target(background, examples, number)
    rows = np.vstack([background, examples]) - background.mean(0)
    norms = np.linalg.norm(rows, axis=1)
    expected = rows @ rows.T / np.outer(norms, norms)
    same = number[:, None] == number
    prototypes = np.stack([(rows[20:] / norms[20:, None])[number == c].mean(0) for c in range(3)])
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    share = softmax(SHARPNESS * rows / norms[:, None] @ prototypes.T, axis=1)
    share -= share[:20].mean(0)
    lengths = np.linalg.norm(share, axis=1)
    expected = (1 - SOFT) * expected + SOFT * share @ share.T / np.outer(lengths, lengths)
    expected[20:, 20:] += np.where(same, LABELS, -LABELS / 2)
    np.testing.assert_allclose(target @ target.T, expected, atol=1e-12)
    assert weights.sum() == pytest.approx(1)
    assert weights[20:].sum() == pytest.approx(2 / (2 + EVEN))
    assert len({*weights[:20]}) == len({*weights[20:]}) == 1


def test_it_keeps_clusters_apart_better_than_chance(
    make_clusters: Callable[..., Clusters],
) -> None:
    rng = np.random.default_rng(0)
    library = HashLibrary(rng.normal(size=(400, 16)).astype(np.float32), np.zeros(400, np.float32))
    shots, (rows, number) = make_clusters(10, 5, 16, 0.4, 0), make_clusters(100, 5, 16, 0.4, 5)
    background = make_clusters(80, 5, 16, 0.4, 9)[0]
    same = number[:, None] == number

    def gap(hasher: UGH) -> float:
        bits = unpack(hasher.fit(*shots).transform(rows), 8)
        away = (bits[:, None] != bits).sum(2)
        return float(away[~same].mean() - away[same].mean())

    random = [gap(UGH(library, 8, seed, "random")) for seed in range(8)]
    ours = gap(UGH(library, 8, selection="similarity", background=background))
    assert ours > np.mean(random) + 2 * np.std(random)
    with pytest.raises(InputError, match="give a background"):
        UGH(library, 8, selection="similarity").fit(*shots)
