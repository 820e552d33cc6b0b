"""Codes learned from examples and a background, against plain pair by pair sums."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.errors import InputError
from handful.evaluation.hamming import score_codes
from handful.methods.hashing import KSH, HandfulBits, HandfulVotes, Hasher, HashLibrary
from handful.methods.hashing.dichotomies import candidates, dichotomies, select_bits
from handful.methods.hashing.handful_bits import teach

Clusters = tuple[NDArray[np.float64], NDArray[np.int64]]
Make = Callable[..., Clusters]


@pytest.mark.parametrize("seed", range(4))
def test_no_exchange_of_one_bit_lowers_the_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signs, target = rng.choice([-1.0, 1.0], (14, 12)), rng.normal(size=(12, 3)) / 2
    chosen = select_bits(signs.astype(np.float32), target, 4).tolist()
    assert len(set(chosen)) == 4

    def loss(which: list[int]) -> float:
        codes = signs[which].T
        return float(((4 * target @ target.T - codes @ codes.T) ** 2).sum())

    others = [i for i in range(14) if i not in chosen]
    exchanged = [
        loss([*chosen[:place], other, *chosen[place + 1 :]])
        for place in range(4)
        for other in others
    ]
    assert loss(chosen) <= min(exchanged) * (1 + 1e-6)


def test_all_dichotomies_of_few_classes_and_some_of_many() -> None:
    rng = np.random.default_rng(0)
    sides = dichotomies(5, rng)
    ways = {frozenset((tuple(side), tuple(-side))) for side in sides.T}
    assert sides.shape == (5, 15)
    assert len(ways) == 15
    assert np.all(np.abs(sides.sum(0)) < 5)
    assert dichotomies(40, rng).shape == (40, 511)


def test_few_dichotomies_are_cut_at_even_shares() -> None:
    found = np.random.default_rng(0).random((999, 2))
    mixtures, cuts = candidates(found, dichotomies(2, np.random.default_rng(0)), 4)
    above = (found @ mixtures > cuts).mean(0)
    np.testing.assert_allclose(above, [0.8, 0.6, 0.4, 0.2], atol=2e-3)


def test_the_background_teaches(make_clusters: Make) -> None:
    """One example a class at the rim of its cluster: the background shows where the middle is."""
    rows, number = make_clusters(300, 5, 16, 0.9, 3)
    shots = np.array([np.flatnonzero(number == c)[0] for c in range(5)])
    teacher = teach(rows, rows[shots], number[shots])
    shares = teacher(rows)
    np.testing.assert_allclose(shares.sum(1), 1)
    nearest = ((rows[:, None] - rows[shots]) ** 2).sum(2).argmin(1)
    assert (shares.argmax(1) == number).mean() > (nearest == number).mean() + 0.02


def precision(hasher: Hasher, rows: NDArray[np.float64], number: NDArray[np.int64]) -> float:
    codes = hasher.transform(rows)
    return float(score_codes(codes, number, codes, number, hasher.n_bits)[0].mean())


def test_it_ranks_better_than_a_rival_that_sees_the_examples_alone(make_clusters: Make) -> None:
    rows, number = make_clusters(600, 5, 40, 1.6, 5)
    for shots in (5, 25):
        differences = []
        for seed in range(4):
            given = make_clusters(shots, 5, 40, 1.6, 20 + seed)
            ours = HandfulBits(16, seed, background=rows[::2]).fit(*given)
            rival = KSH(16, seed).fit(*given)
            differences.append(precision(ours, rows, number) - precision(rival, rows, number))
        assert min(differences) > 0


def test_votes_say_what_the_features_say(make_clusters: Make) -> None:
    rng = np.random.default_rng(0)
    library = HashLibrary(rng.normal(size=(3000, 16)).astype(np.float32), np.zeros(3000, "f4"))
    rows, number = make_clusters(500, 5, 16, 0.5, 5)
    shots, labels = make_clusters(25, 5, 16, 0.5, 0)
    plain = HandfulBits(12, background=rows).fit(shots, labels)
    votes = HandfulVotes(library, 12, background=rows).fit(shots, labels)
    assert len(votes.votes_.functions) == len(set(votes.votes_.functions.tolist())) == 512
    assert precision(votes, rows, number) > 0.9 * precision(plain, rows, number)
    # from the signs, in whole numbers
    signs = np.where(library.take(votes.votes_.functions).margins(rows) > 0, 1, -1)
    expected = signs @ votes.votes_.weights > votes.votes_.thresholds
    np.testing.assert_array_equal(votes.bits(rows), expected)


@pytest.mark.parametrize("classes", [2, 3, 12])
@pytest.mark.parametrize("bits", [1, 16, 40])
def test_any_number_of_classes_and_bits(classes: int, bits: int, make_clusters: Make) -> None:
    rows, _ = make_clusters(360, 12, 16, 0.5, 5)
    shots, labels = make_clusters(2 * classes, classes, 16, 0.5, 0)
    first, again = (HandfulBits(bits, 7, rows).fit(shots, labels) for _ in range(2))
    codes = first.transform(rows)
    assert codes.shape == (len(rows), -(-bits // 8))
    np.testing.assert_array_equal(codes, again.transform(rows))


def test_more_examples_more_bits_of_the_classes(make_clusters: Make) -> None:
    rows, _ = make_clusters(150, 5, 16, 0.5, 5)
    counts = []
    for shots in (1, 3, 10, 50):
        code = HandfulBits(16, 0, rows).fit(*make_clusters(5 * shots, 5, 16, 0.5, 0))
        counts.append(16 if code.alike_ is None else 16 - code.alike_.n_bits)
    assert all(few < many for few, many in pairwise(counts))
    assert counts[-1] == 16


def test_what_it_cannot_learn_from(make_clusters: Make) -> None:
    shots, labels = make_clusters(6, 3, 16, 0.5, 0)
    with pytest.raises(InputError, match="give a background"):
        HandfulBits().fit(shots, labels)
    with pytest.raises(InputError, match="8 dimensions for examples of 16"):
        HandfulBits(background=shots[:, :8]).fit(shots, labels)
    with pytest.raises(InputError, match="one class"):
        HandfulBits(background=shots).fit(shots, np.zeros(6))
