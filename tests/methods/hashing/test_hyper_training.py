"""Rounds of hyper-training: their parts against brute force, and runs that are killed."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.errors import InputError
from handful.methods.hashing import Settings, hyper_train
from handful.methods.hashing.hyper_round import draw, run_round
from handful.methods.hashing.pseudo_categories import expand, max_min, take_lowest

SMALL = Settings(sample=400, tries=10, categories=5, size=4, n_bits=3, expansion=20, held_out=4)
Clusters = tuple[NDArray[np.float64], NDArray[np.int64]]


@pytest.fixture(scope="module")
def corpus(make_clusters: Callable[..., Clusters]) -> Clusters:
    return make_clusters(600, 12, 24, 0.35, 0)


def test_max_min_keeps_the_widest_seeds_and_takes_their_neighbours(corpus: Clusters) -> None:
    rows = corpus[0]
    members = max_min(rows, np.random.default_rng(3), 5, 4, tries=50)
    rng = np.random.default_rng(3)
    tries = [rng.choice(len(rows), 5, replace=False) for _ in range(50)]
    spread = [sum(float(np.linalg.norm(rows[a] - rows[b])) for a in t for b in t) for t in tries]
    np.testing.assert_array_equal(members[:, 0], tries[int(np.argmax(spread))])
    assert len(np.unique(members)) == 20
    taken = set(members[:, 0].tolist())
    for seed, *near in members.tolist():
        order = np.argsort(np.linalg.norm(rows - rows[seed], axis=1))
        assert near == [i for i in order.tolist() if i not in taken][:3]
        taken |= set(near)


def test_rows_choose_in_order_and_nothing_twice() -> None:
    rng = np.random.default_rng(0)
    cost = rng.integers(0, 6, (4, 30)).astype(float)
    left, expected = set(range(30)), []
    for line in cost:
        best = sorted(left, key=lambda i, line=line: (line[i], i))[:5]  # type: ignore[misc]
        expected.append(best)
        left -= set(best)
    assert take_lowest(cost.copy(), 5).tolist() == expected


def test_expansion_finds_more_of_the_same_cluster(corpus: Clusters) -> None:
    rows, number = corpus
    members = np.stack([np.flatnonzero(number == c)[:6] for c in range(5)])
    weights = np.random.default_rng(0).normal(size=(24, 10))
    added = expand(rows, members, weights, 20)
    assert added.shape == (5, 20)
    assert not np.intersect1d(added, members).size
    assert len(np.unique(added)) == 100
    assert (number[added] == np.arange(5)[:, None]).mean() > 0.9


def test_a_round_gives_unit_planes_that_split_the_corpus(corpus: Clusters) -> None:
    rows, number = corpus
    weights, bias = run_round(7 * rows.astype(np.float16), 0, 4, SMALL)
    assert (weights.shape, bias.shape) == ((3, 24), (3,))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1, atol=1e-6)
    bits = rows @ weights.T + bias > 0
    share = np.stack([bits[number == c].mean(0) for c in range(12)])
    # clusters lie on one side or the other: the planes pass between them
    assert np.abs(share - 0.5).mean() > 0.4
    assert (np.abs(bits.mean(0) - 0.5) < 0.45).all()


def test_draws_are_different_rows_of_unit_length() -> None:
    rows = np.arange(1, 31, dtype=float).reshape(10, 3)
    drawn = draw(rows, 6, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    places = [int(np.argmin(np.abs(unit - row).sum(1))) for row in drawn]
    assert places == sorted(set(places))
    assert len(draw(rows, 100, np.random.default_rng(0))) == 10


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("round-*")}


def test_neither_workers_nor_order_change_a_byte(corpus: Clusters, tmp_path: Path) -> None:
    features = corpus[0].astype(np.float16)
    one = hyper_train(features, tmp_path / "one", 4, 5, SMALL, workers=1)
    two = hyper_train(features, tmp_path / "two", 4, 5, SMALL, workers=2)
    assert one.weights.tobytes() == two.weights.tobytes()
    assert (len(one), one.dimensions) == (12, 24)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    # more rounds leave those that there are as they were
    more = hyper_train(features, tmp_path / "one", 6, 5, SMALL, workers=1)
    np.testing.assert_array_equal(more.weights[:12], one.weights)
    weights, bias = run_round(features, 5, 5, SMALL)
    np.testing.assert_array_equal(more.weights[15:], weights)
    np.testing.assert_array_equal(more.bias[15:], bias)


KILLED = """
import sys, numpy as np
from handful.methods.hashing import Settings, hyper_train
settings = Settings(400, 10, 5, 4, 3, 20, 4)
hyper_train(np.load(sys.argv[1]), sys.argv[2], 12, 5, settings, workers=1)
"""


def test_a_killed_run_goes_on_to_the_same_functions(corpus: Clusters, tmp_path: Path) -> None:
    features = corpus[0].astype(np.float16)
    np.save(tmp_path / "features.npy", features)
    arguments = [sys.executable, "-c", KILLED, str(tmp_path / "features.npy"), str(tmp_path / "k")]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "k").glob("round-*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = digests(tmp_path / "k")
    assert len(before) >= 3
    resumed = hyper_train(features, tmp_path / "k", 12, 5, SMALL, workers=1)
    whole = hyper_train(features, tmp_path / "w", 12, 5, SMALL, workers=1)
    assert resumed.weights.tobytes() == whole.weights.tobytes()
    assert before.items() <= digests(tmp_path / "k").items()


def test_a_folder_of_other_rounds_is_refused(corpus: Clusters, tmp_path: Path) -> None:
    features = corpus[0]
    hyper_train(features, tmp_path, 1, 0, SMALL, workers=1)
    with pytest.raises(InputError, match="other seed"):
        hyper_train(features, tmp_path, 1, 1, SMALL, workers=1)
    with pytest.raises(InputError, match="other settings"):
        hyper_train(features, tmp_path, 1, 0, replace(SMALL, tries=3), workers=1)
    with pytest.raises(InputError, match="other features"):
        hyper_train(features[::-1], tmp_path, 1, 0, SMALL, workers=1)
    (tmp_path / "round-000000.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match="missing or damaged; remove it and resume"):
        hyper_train(features, tmp_path, 1, 0, SMALL, workers=1)


def test_too_small_a_corpus(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="100 unlabelled images: a round needs at least 1680"):
        hyper_train(np.ones((100, 4)), tmp_path)
    assert not any(tmp_path.iterdir())
