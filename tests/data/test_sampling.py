from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from handful.data.episodes import Episodes
from handful.data.omniglot import OmniglotSet
from handful.data.omniglot_runs import read_runs, write_runs
from handful.data.sampling import (
    distinct,
    runs_to_episodes,
    sample_fewshot,
    sample_pairs,
    sample_random_character,
    sample_within_alphabet,
)
from handful.errors import InputError


def check_trials(dataset: OmniglotSet, episodes: Episodes) -> None:
    """Every rule of a trial, one trial at a time."""
    for support, query, target in zip(
        episodes.support, episodes.query, episodes.target, strict=True
    ):
        characters = dataset.character[support]
        assert (characters == characters[:, :1]).all()
        assert len(set(characters[:, 0])) == episodes.ways
        assert dataset.character[query[0]] == characters[target[0], 0]
        teachers = dataset.drawer[support]
        assert (teachers == teachers[:1]).all()
        assert len(set(teachers[0])) == episodes.shots
        assert dataset.drawer[query[0]] not in teachers
        if len(query) == 2 and query[1] >= 0:
            assert target[1] == -1
            assert dataset.character[query[1]] not in characters
            assert dataset.drawer[query[1]] == dataset.drawer[query[0]]


@pytest.mark.parametrize("shots", [1, 3])
@pytest.mark.parametrize("unknown", [False, True])
def test_within_alphabet_keeps_its_rules(omniglot: OmniglotSet, shots: int, unknown: bool) -> None:
    with pytest.warns(UserWarning, match="left out: Cebra"):
        episodes = sample_within_alphabet(omniglot, 60, 5, shots, seed=4, unknown=unknown)
    assert episodes.protocol == "within-alphabet"
    check_trials(omniglot, episodes)
    alphabet = omniglot.alphabet[episodes.support].reshape(60, -1)
    assert (alphabet == alphabet[:, :1]).all()
    assert Counter(alphabet[:, 0].tolist()) == {0: 30, 1: 30}
    if unknown:
        # five characters leave no stranger in the first alphabet, the sixth is one in the second
        np.testing.assert_array_equal(episodes.query[:, 1] < 0, alphabet[:, 0] == 0)
        strangers = episodes.query[alphabet[:, 0] == 1, 1]
        assert set(omniglot.alphabet[strangers]) == {1}


@pytest.mark.parametrize("unknown", [False, True])
def test_random_character_keeps_its_rules(omniglot: OmniglotSet, unknown: bool) -> None:
    episodes = sample_random_character(omniglot, 60, 9, 2, seed=4, unknown=unknown)
    check_trials(omniglot, episodes)
    assert len(set(omniglot.character[episodes.support].ravel())) == 14
    assert (episodes.query >= 0).all()


def test_the_first_queries_do_not_depend_on_unknown_ones(omniglot: OmniglotSet) -> None:
    alone = sample_random_character(omniglot, 30, 5, seed=2)
    both = sample_random_character(omniglot, 30, 5, seed=2, unknown=True)
    np.testing.assert_array_equal(alone.query, both.query[:, :1])
    np.testing.assert_array_equal(alone.support, both.support)


def test_the_seed_decides(omniglot: OmniglotSet) -> None:
    first, again, other = (sample_random_character(omniglot, 20, 5, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.support, again.support)
    assert not np.array_equal(first.support, other.support)


def test_targets_drawers_and_strangers_are_uniform(omniglot: OmniglotSet) -> None:
    episodes = sample_random_character(omniglot, 6000, 5, seed=0, unknown=True)
    counts = [
        np.bincount(episodes.target[:, 0]),
        np.bincount(omniglot.drawer[episodes.query[:, 0]])[1:],
        np.bincount(omniglot.character[episodes.query[:, 1]]),
        np.bincount(omniglot.character[episodes.support[:, 0, 0]]),
    ]
    assert [len(c) for c in counts] == [5, 4, 14, 14]
    assert min(chisquare(c).pvalue for c in counts) > 1e-3


@pytest.mark.parametrize(
    ("ways", "shots", "why"), [(7, 1, "7 characters; ask for fewer"), (3, 4, "too few drawers")]
)
def test_what_an_alphabet_lacks_is_said(
    omniglot: OmniglotSet, ways: int, shots: int, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        sample_within_alphabet(omniglot, 4, ways, shots)


@pytest.mark.parametrize(
    ("ways", "shots", "why"), [(15, 1, "has 14 characters"), (5, 4, "too few drawers")]
)
def test_what_the_split_lacks_is_said(
    omniglot: OmniglotSet, ways: int, shots: int, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        sample_random_character(omniglot, 4, ways, shots)


def test_distinct_numbers_in_every_order_alike() -> None:
    drawn = distinct(np.random.default_rng(0), np.full(12_000, 4), 3)
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(permutations(range(4), 3))
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_fewshot_takes_what_each_class_has() -> None:
    labels = np.array(["a"] * 2 + ["b"] * 4 + ["c"] * 1 + ["d"] * 30)
    rng = np.random.default_rng(0)
    labels = labels[rng.permutation(len(labels))]
    drawn = sample_fewshot(labels, ways=3, shots=1, queries=5, episodes=40, seed=1)
    assert drawn.query.shape == (40, 15)
    for support, query, target in zip(drawn.support, drawn.query, drawn.target, strict=True):
        names = labels[support[:, 0]]
        assert sorted(names) == ["a", "b", "d"]
        there = query >= 0
        assert len({*support.ravel(), *query[there]}) == 3 + there.sum()
        np.testing.assert_array_equal(labels[query[there]], names[target[there]])
        assert Counter(names[target[there]].tolist()) == {"a": 1, "b": 3, "d": 5}
    with pytest.raises(InputError, match="3 classes have more than 1 images"):
        sample_fewshot(labels, ways=4, shots=1, queries=5, episodes=1)


@pytest.mark.parametrize("pool", ["split", "alphabet"])
def test_pairs_are_half_same_by_two_drawers(omniglot: OmniglotSet, pool: str) -> None:
    images, same = sample_pairs(omniglot, 400, pool, seed=1)  # type: ignore[arg-type]
    assert same.sum() == 200
    first, second = images.T
    np.testing.assert_array_equal(omniglot.character[first] == omniglot.character[second], same)
    assert (omniglot.drawer[first] != omniglot.drawer[second]).all()
    crossing = omniglot.alphabet[first] != omniglot.alphabet[second]
    assert crossing.any() == (pool == "split")


def test_runs_become_one_episode_each(
    omniglot: OmniglotSet, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("runs")
    write_runs(omniglot, root, runs=2, ways=5)
    runs = read_runs(root)
    episodes = runs_to_episodes(runs)
    assert (len(episodes), episodes.ways, episodes.shots) == (2, 5, 1)
    assert episodes.query.shape == (2, 5)
    assert episodes.known.all()
    assert episodes.paths == runs.paths
