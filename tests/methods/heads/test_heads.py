"""Every head against scikit-learn, alone and with many episodes at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from torch import Tensor
from torch.nn.functional import normalize

from handful.methods.heads import Logistic, Nearest, Prototype, default_head, make_head

NAMES = ["prototype", "logistic", "nearest"]


def problem(counts: list[int], width: int, queries: int = 30) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors around a direction for each class, as many as `counts` says; and queries."""
    generator = torch.Generator().manual_seed(len(counts) * 100 + width)
    index = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    index = index[torch.randperm(len(index), generator=generator)]
    centres = torch.randn(len(counts), width, generator=generator) + 1
    examples = centres[index] + torch.randn(len(index), width, generator=generator)
    asked = torch.randn(queries, width, generator=generator) + 1
    return normalize(examples, dim=-1), index, normalize(asked, dim=-1)


def centred(features: Tensor, index: Tensor, *others: Tensor) -> list[np.ndarray]:
    centre = torch.stack([features[index == way].mean(0) for way in index.unique()]).mean(0)
    return [normalize(x - centre, dim=-1).double().numpy() for x in (features, *others)]


@pytest.mark.parametrize(
    ("counts", "width"), [([1] * 5, 64), ([5] * 5, 64), ([3, 9, 1], 20), ([40, 60, 20], 16)]
)
@pytest.mark.parametrize("c", [0.1, 1.0, 30.0])
def test_logistic_finds_the_minimum_of_scikit_learn(
    counts: list[int], width: int, c: float
) -> None:
    features, index, query = problem(counts, width)
    ours = Logistic(c).fit(features, index, len(counts))(query)
    examples, asked = centred(features, index, query)
    theirs = LogisticRegression(
        C=c, fit_intercept=False, class_weight="balanced", tol=1e-9, max_iter=10_000
    ).fit(examples, index.numpy())
    expected = asked @ theirs.coef_.T
    # softmax does not see a constant: only differences between classes are compared
    np.testing.assert_allclose(
        ours - ours.mean(1, keepdim=True),
        expected - expected.mean(1, keepdims=True),
        atol=2e-5 * max(1, c),
    )


def test_two_classes_of_scikit_learn_have_twice_the_c() -> None:
    features, index, query = problem([6, 4], 32)
    ours = Logistic(1.0).fit(features, index, 2)(query)
    examples, asked = centred(features, index, query)
    theirs = LogisticRegression(C=2.0, fit_intercept=False, class_weight="balanced", tol=1e-9)
    expected = theirs.fit(examples, index.numpy()).decision_function(asked)
    np.testing.assert_allclose(ours[:, 1] - ours[:, 0], expected, atol=2e-5)


def test_the_solver_stops_by_its_gradient_not_by_its_steps() -> None:
    features, index, query = problem([5] * 5, 64)
    expected = Logistic(10.0).fit(features, index, 5)(query)
    longer = Logistic(10.0, tolerance=1e-12, steps=20_000).fit(features, index, 5)(query)
    torch.testing.assert_close(expected, longer, atol=1e-4, rtol=1e-4)
    few = Logistic(10.0, steps=3).fit(features, index, 5)(query)
    assert (few - longer).abs().max() > 0.01


def test_prototype_is_the_nearest_centroid_of_unit_vectors() -> None:
    features, index, query = problem([2, 5, 3, 3], 24)
    scores = Prototype().fit(3 * features, index, 4)(query)
    means = NearestCentroid().fit(features.numpy(), index.numpy()).centroids_
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(scores, query.numpy() @ means.T, atol=1e-6)


def test_nearest_is_one_nearest_neighbour() -> None:
    features, index, query = problem([2, 5, 3, 3], 24)
    scores = Nearest().fit(features, index, 4)(2 * query)
    theirs = KNeighborsClassifier(1).fit(features.numpy(), index.numpy())
    assert scores.argmax(1).tolist() == theirs.predict(query.numpy()).tolist()
    best = (query @ features.T)[:, index == 2].amax(1)
    torch.testing.assert_close(scores[:, 2], best)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [4, 40])
def test_leading_dimensions_are_independent_problems(name: str, width: int) -> None:
    head = make_head(name)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    features = normalize(torch.randn(2, 3, 9, width, generator=generator), dim=-1)
    query = normalize(torch.randn(2, 3, 7, width, generator=generator), dim=-1)
    index = torch.tensor([0, 0, 1, 2, 1, 2, 2, 0, 2])
    scores = head.fit(features, index, 3)(query)
    assert scores.shape == (2, 3, 7, 3)
    for a in range(2):
        for b in range(3):
            alone = head.fit(features[a, b], index, 3)(query[a, b])
            torch.testing.assert_close(scores[a, b], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_repeating_the_examples_of_a_class_changes_no_answer(name: str) -> None:
    # how often a person gives the same photo says nothing about what a query shows
    features, index, query = problem([2, 2, 2], 24)
    extra = torch.cat([features, features[index == 1], features[index == 1]])
    more = torch.cat([index, torch.ones(4, dtype=torch.long)])
    head = make_head(name)  # type: ignore[arg-type]
    before, after = (head.fit(f, i, 3)(query) for f, i in ((features, index), (extra, more)))
    assert before.argmax(1).tolist() == after.argmax(1).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_examples_that_are_all_alike_give_numbers(name: str) -> None:
    features = normalize(torch.ones(4, 8), dim=-1)
    head = make_head(name)  # type: ignore[arg-type]
    assert head.fit(features, torch.tensor([0, 0, 1, 1]), 2)(features).isfinite().all()


@pytest.mark.parametrize("index", [[0, 0, 2, 2], [0, 1], [0, 1, 1, 3]])
@pytest.mark.parametrize("head", [Prototype(), Logistic()])
def test_an_empty_class_is_refused(head: Prototype | Logistic, index: list[int]) -> None:
    with pytest.raises(ValueError, match="none of them empty"):
        head.fit(torch.rand(4, 8), torch.tensor(index), 3)


def test_the_default_changes_at_three_shots() -> None:
    names = [default_head(shots) for shots in (1, 2, 3, 50)]
    assert names == ["prototype", "prototype", "logistic", "logistic"]
