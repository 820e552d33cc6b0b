from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from handful.errors import InputError
from handful.evaluation.hamming import score_codes
from handful.evaluation.protocols import hashing as protocol
from handful.evaluation.protocols.hashing import MODELS, Setting, Task, draw_shots, measure
from handful.methods.hashing import LSH, UGH, FastHash, Hasher, HashLibrary
from handful.metrics.accuracy import mean_interval

SETTING = Setting(shots=2, bits=8, repeats=3, seed=4)


@pytest.fixture(scope="module")
def task() -> Task:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 12))

    def some(count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        number = rng.integers(0, 4, count)
        rows = centres[number] + 0.9 * rng.normal(size=(count, 12))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True), number

    weights = rng.normal(size=(60, 12)).astype(np.float32)
    library = HashLibrary(weights, np.zeros(60, np.float32))
    about = {"dataset": "clusters", "backbone": "none"}
    return Task(*some(120), *some(30), some(80)[0], library, about)


def test_shots_are_of_every_class_and_nested() -> None:
    labels = np.random.default_rng(0).integers(0, 5, 100)
    drawn = {shots: draw_shots(labels, shots, 1, 2) for shots in (1, 3, 10)}
    for shots, rows in drawn.items():
        assert np.bincount(labels[rows]).tolist() == [shots] * 5
        assert len(set(rows.tolist())) == 5 * shots
    assert set(drawn[1].tolist()) < set(drawn[3].tolist()) < set(drawn[10].tolist())
    assert drawn[3].tolist() != draw_shots(labels, 3, 1, 3).tolist()
    assert drawn[3].tolist() != draw_shots(labels, 3, 2, 2).tolist()


def test_every_model_is_measured(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocol.RIVALS, "fasthash", lambda bits, seed: _few_trees(bits, seed))
    results = {result.model: result for result in measure(task, MODELS, SETTING)}
    assert [*results] == [*MODELS]
    chance = np.bincount(task.database_labels) / 120
    for result in results.values():
        assert chance.min() < result.metrics["map"] < 1
        assert (result.protocol, result.n, result.backbone) == ("hashing", 30, "none")
        assert len(result.rows) == 3
        assert len(result.metrics["against"]) == len(MODELS) - 1
    assert results["cca-itq"].settings["random_bits"] == 5
    assert results["all-codes"].settings["bits"] == 60
    assert results["pca-itq"].settings["learned_on"] == "unlabelled"
    assert "learned_on" not in results["ksh"].settings
    for name in ("handful-bits", "handful-votes", "ugh-similarity"):
        assert results[name].settings["learned_on"] == "unlabelled"
    assert "functions" not in results["handful-bits"].settings
    assert results["handful-votes"].settings["functions"] == 60
    maps = {name: result.metrics["map"] for name, result in results.items()}
    # knowing the query's class, and having every function, cannot be worse than chance's choice
    assert min(maps["ugh-category"], maps["all-codes"]) > maps["ugh-random"]


def _few_trees(bits: int, seed: int) -> Hasher:
    return FastHash(bits, seed, trees=10)


def test_figures_are_means_over_repeats_and_differences_are_paired(task: Task) -> None:
    ugh, lsh = measure(task, ["ugh", "lsh"], SETTING)
    ours = np.array([row["map"] for row in ugh.rows])
    theirs = np.array([row["map"] for row in lsh.rows])
    assert ugh.metrics["map"] == pytest.approx(ours.mean(), abs=1e-6)
    np.testing.assert_allclose(ugh.metrics["interval"], mean_interval(ours), atol=1e-5)
    against = ugh.metrics["against"]["lsh"]
    assert against["difference"] == pytest.approx((ours - theirs).mean(), abs=1e-5)
    np.testing.assert_allclose(against["interval"], mean_interval(ours - theirs), atol=1e-5)
    assert lsh.metrics["against"]["ugh"]["difference"] == -against["difference"]
    assert len({*theirs}) == 3


def test_one_repeat_by_hand(task: Task) -> None:
    assert task.library is not None
    result = measure(task, ["ugh"], SETTING)[0]
    rows = draw_shots(task.database_labels, 2, 4, 1)
    code = UGH(task.library, 8).fit(task.database[rows], task.database_labels[rows])
    codes = code.transform(task.database), code.transform(task.queries)
    values = score_codes(codes[0], task.database_labels, codes[1], task.query_labels, 8)
    assert result.rows[1]["map"] == pytest.approx(values[0].mean(), abs=1e-6)
    assert result.rows[1]["precision@2"] == pytest.approx(values[1].mean(), abs=1e-6)


def test_the_oracle_has_a_code_for_each_class(task: Task) -> None:
    assert task.library is not None
    result = measure(task, ["ugh-category"], SETTING)[0]
    rows = draw_shots(task.database_labels, 2, 4, 0)
    values = []
    for c in range(4):
        code = UGH(task.library, 8, selection="category", category=c)
        code.fit(task.database[rows], task.database_labels[rows])
        asked = task.query_labels == c
        codes = code.transform(task.database), code.transform(task.queries[asked])
        values += [
            *score_codes(codes[0], task.database_labels, codes[1], task.query_labels[asked], 8)[0]
        ]
    assert result.rows[0]["map"] == pytest.approx(np.mean(values), abs=1e-6)


def test_unsupervised_models_learn_from_unlabelled_images(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[NDArray[np.floating]] = []

    class Spy(LSH):
        def fit(self, features: object, labels: object = None) -> Spy:
            seen.append(np.asarray(features))
            assert labels is None
            return super().fit(seen[-1])

    monkeypatch.setitem(protocol.RIVALS, "lsh", Spy)
    measure(task, ["lsh"], replace(SETTING, learn=20))
    assert seen[0].shape == (20, 12)
    assert task.unlabelled is not None
    assert all((task.unlabelled == row).all(1).any() for row in seen[0])
    result = measure(replace(task, unlabelled=None), ["lsh"], SETTING)[0]
    assert result.settings["learned_on"] == "database"
    assert seen[-1].shape == (120, 12)


def test_what_cannot_be_measured(task: Task) -> None:
    with pytest.raises(InputError, match="model 'best': is one of handful-bits, ugh"):
        measure(task, ["best"], SETTING)
    with pytest.raises(InputError, match="ugh-random: needs a library"):
        measure(replace(task, library=None), ["lsh", "ugh-random"], SETTING)
    with pytest.raises(InputError, match="90 shots: a class"):
        measure(task, ["lsh"], replace(SETTING, shots=90))
    with pytest.raises(InputError, match="give 2 or more"):
        measure(task, ["lsh"], replace(SETTING, repeats=1))
