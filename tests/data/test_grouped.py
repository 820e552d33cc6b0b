"""Episodes of grouped images: no group teaches and asks."""

from __future__ import annotations

import numpy as np
import pytest

from handful.data.sampling import sample_fewshot
from handful.errors import InputError


def check(labels: np.ndarray, groups: np.ndarray, shots: int, queries: int = 4) -> np.ndarray:
    """Draw, check every rule of every episode, and return the queries."""
    drawn = sample_fewshot(labels, 3, shots, queries, 60, seed=1, groups=groups)
    assert drawn.support.shape == (60, 3, shots)
    for support, query, target in zip(drawn.support, drawn.query, drawn.target, strict=True):
        assert len(set(support.ravel())) == 3 * shots
        assert all(len(set(labels[row])) == 1 for row in support)
        assert len(set(labels[support[:, 0]])) == 3
        asked = query[query >= 0]
        assert len(set(asked)) == len(asked)
        assert not set(groups[asked]) & set(groups[support.ravel()])
        np.testing.assert_array_equal(target < 0, query < 0)
        np.testing.assert_array_equal(labels[asked], labels[support[target[query >= 0], 0]])
        assert set(target[query >= 0]) == {0, 1, 2}  # every class is asked for
    return drawn.query


@pytest.mark.parametrize("shots", [1, 3])
def test_groups_of_one_class(shots: int) -> None:
    labels = np.repeat(np.arange(4), 12)
    groups = np.arange(48) // 3
    query = check(labels, groups, shots)
    assert (query >= 0).all()
    assert len(np.unique(query)) == 48  # everything is drawn at some time
    again = sample_fewshot(labels, 3, shots, 4, 60, seed=1, groups=groups)
    np.testing.assert_array_equal(query, again.query)


def test_groups_across_classes() -> None:
    """Slides that hold cells of every kind."""
    labels, groups = np.tile(np.arange(3), 20), np.repeat(np.arange(10), 6)
    check(labels, groups, shots=2)


def test_a_class_gives_as_many_groups_as_its_shots_need() -> None:
    labels = np.repeat(np.arange(3), 6)
    groups = np.arange(18) // 2  # three pairs a class: three shots take two of them
    query = check(labels, groups, shots=3)
    assert ((query >= 0).reshape(60, 3, 4).sum(2) == 2).all()


def test_classes_that_cannot_spare_a_group() -> None:
    labels, groups = np.repeat(np.arange(3), 4), np.repeat(np.arange(3), 4)
    with pytest.raises(InputError, match="0 classes have 1 images beside a group"):
        sample_fewshot(labels, 2, 1, 1, 5, groups=groups)
    # two slides of two kinds: one teaches, the other asks
    labels, groups = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    drawn = sample_fewshot(labels, 2, 1, 1, 20, groups=groups)
    taught, asked = groups[drawn.support[:, :, 0]], groups[drawn.query]
    assert (taught[:, 0] == taught[:, 1]).all()
    assert (asked == 1 - taught).all()
    # three slides of two kinds each: whatever teaches, one kind has nothing left to ask
    with pytest.raises(InputError, match="leave no queries"):
        sample_fewshot([0, 0, 1, 1, 2, 2], 3, 1, 1, 5, groups=[0, 1, 1, 2, 2, 0])
