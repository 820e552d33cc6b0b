from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch

from handful.data.episodes import Episodes
from handful.data.omniglot import OmniglotSet
from handful.data.sampling import sample_fewshot, sample_pairs, sample_random_character
from handful.evaluation import scoring
from handful.evaluation.scoring import Features, encode, episode_scores, pair_scores


@pytest.fixture
def episodes(omniglot: OmniglotSet) -> Episodes:
    # up to four queries a class, of which six drawers leave three: absent queries too
    return sample_fewshot(omniglot.character, 4, 3, 4, 25, seed=1)


def test_every_needed_image_is_encoded_once(
    omniglot: OmniglotSet, dots: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_ENCODE_BATCH", 3)
    matcher = dots()
    needed = np.array([[7, 3, 3], [90, 7, 41]])
    features = encode(matcher, list(omniglot.images), needed)
    assert matcher.encoded == 4
    for image in (3, 7, 41, 90):
        torch.testing.assert_close(
            features[np.array([image])], matcher.encode([omniglot.images[image]])
        )
    assert features[needed].shape == (2, 3, 25)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("batch_bytes", [1, 10_000, 1 << 22])
def test_scores_equal_one_pair_at_a_time(
    omniglot: OmniglotSet,
    dots: Any,
    episodes: Episodes,
    batched: bool,
    pooled: bool,
    batch_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scoring, "_BATCH_BYTES", batch_bytes)
    matcher = dots(batched, pooled)
    features = encode(matcher, list(omniglot.images), episodes.used)
    scores = episode_scores(matcher, features, episodes)
    vectors = matcher.encode(list(omniglot.images)).double().numpy()
    for t, q in np.ndindex(*episodes.query.shape):
        if episodes.query[t, q] < 0:
            assert np.isnan(scores[t, q]).all()
            continue
        for way, shots in enumerate(episodes.support[t]):
            examples = vectors[shots].mean(0, keepdims=True) if pooled else vectors[shots]
            gaps = np.linalg.norm(examples - vectors[episodes.query[t, q]], axis=1)
            assert scores[t, q, way] == pytest.approx(-gaps.min(), abs=1e-5)


@pytest.mark.parametrize("batched", [False, True])
def test_pairs_are_scored_row_by_row(omniglot: OmniglotSet, dots: Any, batched: bool) -> None:
    matcher = dots(batched)
    pairs, _ = sample_pairs(omniglot, 30)
    features = encode(matcher, list(omniglot.images), pairs)
    vectors = matcher.encode(list(omniglot.images)).numpy()
    expected = -np.linalg.norm(vectors[pairs[:, 0]] - vectors[pairs[:, 1]], axis=1)
    np.testing.assert_allclose(pair_scores(matcher, features, pairs), expected, rtol=1e-5)


def test_thousands_of_trials_a_second_from_cached_embeddings(
    omniglot: OmniglotSet, dots: Any
) -> None:
    """The bar is 4,000 a second on two cores; one core does ten times that."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    features = Features(torch.randn(len(omniglot), 512), np.arange(len(omniglot)))
    rates = []
    for seed in range(4):
        start = time.perf_counter()
        episodes = sample_random_character(omniglot, 2000, 19, seed=seed)
        scores = episode_scores(dots(batched=True), features, episodes)
        assert 0 <= (scores.argmax(-1) == episodes.target).mean() <= 1
        rates.append(2000 / (time.perf_counter() - start))
    torch.set_num_threads(threads)
    assert max(rates) > 4000
