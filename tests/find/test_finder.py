"""What is found, against a plain ranking of every picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from handful import zoo
from handful.errors import InputError
from handful.find import Finder, Index
from handful.find.coding import BUNDLED, library_for
from handful.find.finder import SHORTLIST_FROM
from handful.methods.calibration import Calibration
from handful.methods.hashing import HashLibrary
from handful.methods.prototypes import Prototypes

from .conftest import Draw, Means

CLASSES, EACH = 5, 12


@pytest.fixture
def index(tmp_path: Path, draw: Draw, means: Prototypes) -> Index:
    """Five classes of twelve pictures that are alike."""
    for label in range(CLASSES):
        for number in range(EACH):
            draw(tmp_path / "photos" / f"c{label}" / f"{label}-{number}.png", label, noise=25)
    return Index.build(tmp_path / "photos", tmp_path / "index", means)


def table(index: Index) -> tuple[list[str], np.ndarray]:
    """Return paths and unit features (N, D) in double precision, from the pictures themselves."""
    rows = [Means.one(np.asarray(Image.open(path))).astype(np.float64) for path in index.images]
    return index.images, np.stack([row / np.linalg.norm(row) for row in rows])


def of_class(index: Index, label: int) -> list[str]:
    return [path for path in index.images if f"/c{label}/" in path]


@pytest.mark.parametrize("shots", [1, 3])
def test_by_default_pictures_come_by_cosine_to_the_mean(index: Index, shots: int) -> None:
    like = of_class(index, 2)[:shots]
    found = Finder(index).fit(like).search(k=9)
    paths, features = table(index)
    mean = features[[paths.index(path) for path in like]].mean(0)
    away = 1 - features @ mean / np.linalg.norm(mean)
    others = [i for i in np.argsort(away) if paths[i] not in like][:9]
    assert [match.image for match in found] == [paths[i] for i in others]
    np.testing.assert_allclose([m.distance for m in found], away[others], atol=1e-3)
    assert (found.search, found.head, found.images) == ("exact", "prototype", CLASSES * EACH)
    assert found.examples == tuple(like)
    scores = [match.score for match in found]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, 1 - away[others] / 2, atol=1e-3)


def test_all_are_ranked_and_nothing_is_asked_for_twice(index: Index) -> None:
    like = of_class(index, 0)[:2]
    found = Finder(index).fit(like).search(k=1000)
    assert sorted(match.image for match in found) == sorted(set(index.images) - set(like))


def test_examples_from_elsewhere_are_encoded(index: Index, tmp_path: Path, draw: Draw) -> None:
    path = draw(tmp_path / "elsewhere.png", 3, noise=25)
    pixels = np.asarray(Image.open(path))
    answers = [Finder(index).fit([way]).search(k=EACH) for way in (path, Image.open(path), pixels)]
    for answer in answers:
        assert {match.image for match in answer} == set(of_class(index, 3))
        assert answer.results == answers[0].results
    assert answers[0].examples == (str(path),)
    assert answers[2].examples == (None,)


def test_a_picture_of_the_index_is_not_encoded_again(
    index: Index, monkeypatch: pytest.MonkeyPatch, draw: Draw
) -> None:
    path = of_class(index, 1)[0]
    calls: list[int] = []
    embed = Means.embed

    def counted(self: Means, images: list[np.ndarray]) -> torch.Tensor:
        calls.append(len(images))
        return embed(self, images)

    monkeypatch.setattr(Means, "embed", counted)
    finder = Finder(index).fit(path)
    assert calls == []
    # one that has changed since is another picture
    draw(Path(path), 4, noise=25)
    found = finder.fit(path).search(k=EACH)
    assert calls == [1]
    assert {match.image for match in found} == set(of_class(index, 4))


def test_negatives_move_the_mean_away_from_theirs(index: Index) -> None:
    like, unlike = of_class(index, 2)[:3], of_class(index, 4)[:2]
    found = Finder(index).fit(like, unlike).search(k=1000)
    assert (found.head, found.not_examples) == ("prototype", tuple(unlike))
    paths, features = table(index)

    def mean(names: list[str]) -> np.ndarray:
        total = features[[paths.index(name) for name in names]].sum(0)
        return np.asarray(total / np.linalg.norm(total))

    value = features @ (mean(like) - 0.25 * mean(unlike))
    others = [i for i in np.argsort(-value) if paths[i] not in {*like, *unlike}]
    assert [match.image for match in found] == [paths[i] for i in others]
    scores = ((1 + value[others]) / 2).clip(0, 1)
    np.testing.assert_allclose([match.score for match in found], scores, atol=1e-3)
    away = 1 - features[others] @ mean(like)
    np.testing.assert_allclose([match.distance for match in found], away, atol=1e-3)


def test_a_logistic_regression_ranks_where_it_is_asked_for(index: Index) -> None:
    like, unlike = of_class(index, 2)[:3], of_class(index, 4)[:2]
    finder = Finder(index, head="logistic").fit(like, unlike)
    found = finder.search(k=1000)
    assert found.head == "logistic"
    assert found.not_examples == tuple(unlike)
    assert not {match.image for match in found} & {*like, *unlike}
    # scikit-learn with the same pictures: all others of the index are the background
    paths, features = table(index)
    places = [paths.index(path) for path in like]
    rest = [paths.index(path) for path in unlike]
    rest += [i for i, path in enumerate(paths) if path not in {*like, *unlike}]
    both = np.concatenate([features[places], features[rest]])
    truth = np.repeat([1, 0], [len(places), len(rest)])
    centre = (features[places].mean(0) + features[rest].mean(0)) / 2

    def moved(rows: np.ndarray) -> np.ndarray:
        return np.asarray((rows - centre) / np.linalg.norm(rows - centre, axis=1, keepdims=True))

    theirs = LogisticRegression(C=20, fit_intercept=False, class_weight="balanced", tol=1e-10)
    theirs.fit(moved(both), truth)
    asked = moved(features[[paths.index(match.image) for match in found]])
    expected = theirs.predict_proba(asked)[:, 1]
    np.testing.assert_allclose([match.score for match in found], expected, atol=5e-3)
    assert (np.diff(expected) <= 5e-3).all()


def test_negatives_are_drawn_by_the_seed(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handful.find.finder.NEGATIVES", 10)
    like = of_class(index, 2)[:3]

    def scores(seed: int) -> list[float]:
        found = Finder(index, head="logistic", seed=seed).fit(like).search(k=5)
        return [match.score for match in found]

    assert scores(0) == scores(0)
    assert scores(0) != scores(1)


def test_a_shortlist_of_everything_is_the_exact_search(index: Index) -> None:
    like = of_class(index, 2)[:2]
    exact = Finder(index, shortlist=None).fit(like).search(k=30)
    longest = Finder(index, shortlist=len(index) - 2).fit(like).search(k=30)
    assert (exact.search, longest.search) == ("exact", "shortlist")
    assert longest.results == exact.results
    short = Finder(index, shortlist=12).fit(like).search(k=10)
    assert {match.image for match in short} <= {match.image for match in exact}
    assert {match.image for match in short} == {match.image for match in exact[:10]}


def test_a_shortlist_is_made_above_a_number_of_pictures(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SHORTLIST_FROM == 200_000
    finder = Finder(index).fit(of_class(index, 0)[0])
    assert finder._shortlist_size(20) is None
    monkeypatch.setattr("handful.find.finder.SHORTLIST_FROM", 59)
    assert finder._shortlist_size(20) == 5000
    assert finder._shortlist_size(80) == 8000


@pytest.mark.parametrize("bits", [4, 12, 24, 100])
def test_codes_alone(index: Index, bits: int) -> None:
    like = of_class(index, 2)[:3]
    finder = Finder(index, bits=bits).fit(like)
    found = finder.search(k=1000)
    assert (found.search, found.bits, len(found)) == ("codes", bits, len(index) - 3)
    # the distances, from the functions' signs, one sum of weights after the other
    paths, features = table(index)
    votes = finder._learned().votes
    signs = np.sign(finder._coding.library.take(votes.functions).margins(features))
    away = (signs @ votes.weights <= votes.thresholds).sum(1)
    named = {match.image: match.distance for match in found}
    differing = [named[path] - away[i] for i, path in enumerate(paths) if path in named]
    # a margin of almost nothing may fall to the other side in half precision
    assert np.mean(np.array(differing) != 0) < 0.05
    distances = [match.distance for match in found]
    assert distances == sorted(distances)
    assert all(0 <= match.score <= 1 for match in found)
    if bits >= 24:
        assert {match.image for match in found[:6]} <= set(of_class(index, 2))
    near = finder.range(1)
    assert [m.image for m in near] == [m.image for m in found if m.distance <= 1]


def test_a_function_that_knows_the_category_votes_most(index: Index) -> None:
    width = index.snapshot().parts[0].shape[1]
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(64, width)).astype(np.float32)
    paths, features = table(index)
    inside = np.array(["/c2/" in path for path in index.images])
    # one function that knows the class, among many that do not
    weights[17] = features[inside].mean(0) - features[~inside].mean(0)
    threshold = (features[inside] @ weights[17]).min() - 0.02
    bias = np.zeros(64, np.float32)
    bias[17] = -threshold
    assert ((features @ weights[17] + bias[17] > 0) == inside).mean() > 0.95
    finder = Finder(index, bits=4, library=HashLibrary(weights, bias)).fit(of_class(index, 2)[:4])
    code = finder._learned()
    strongest = np.argsort(-code.votes.weights[:, 0])[:6]
    assert 17 in code.votes.functions[strongest]
    # the levels are cosines: mean ones of the pictures that lie there
    cosines = features @ finder.criterion_.target.numpy()
    found = {match.image: int(match.distance) for match in finder.search(1000)}
    assert np.all(np.diff(code.levels) <= 0)
    far = [cosines[paths.index(path)] for path, away in found.items() if away == 4]
    assert code.levels[4] == pytest.approx(np.mean(far), abs=0.05)


def test_which_library_belongs_to_which_features(index: Index) -> None:
    assert zoo.card(BUNDLED).backbone == "handful-base"
    assert library_for("handful-base", 512, 0).weights.shape == (8000, 512)
    assert library_for("torchvision:resnet50", 2048, 0).weights.shape == (512, 2048)
    given = HashLibrary(np.eye(4, dtype=np.float32), np.zeros(4, np.float32))
    assert Finder(index, library=given).library is given


def test_an_example_behind_a_link_is_known_too(index: Index, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(index.root)
    path = Path(of_class(index, 1)[0])
    found = Finder(index).fit(tmp_path / "link" / path.relative_to(index.root)).range(1e-4)
    assert found.results == ()


def test_copies_are_found_by_radius(index: Index, tmp_path: Path) -> None:
    path = Path(of_class(index, 1)[0])
    copies = [path.with_name("copy.png"), path.with_name("other.bmp")]
    copies[0].write_bytes(path.read_bytes())
    Image.open(path).save(copies[1])
    index.sync()
    found = Finder(index).fit(path).range(1e-4)
    assert sorted(match.image for match in found) == sorted(map(str, copies))
    assert [match.distance for match in found] == [0, 0]
    assert len(Finder(index).fit(path).range(2)) == len(index) - 1
    alone = Finder(index).fit(of_class(index, 3)[0]).range(0)
    assert alone.results == ()


def test_scores_are_calibrated_where_the_model_is(index: Index) -> None:
    calibration = Calibration(8.0, -3.0, 5.0, 0.5, 0.5, likeness=0.5)
    calibrated = Index.open(index.folder, Prototypes(Means(), "means", calibration))
    like = of_class(index, 2)[:3]
    for match in Finder(calibrated).fit(like).search(k=20):
        # the mean of three has the length sqrt(r + (1 - r) / 3)
        cosine = (1 - match.distance) * (0.5 + 0.5 / 3) ** 0.5
        assert match.score == pytest.approx(1 / (1 + np.exp(3 - 8 * cosine)), abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"head": "logistic"}, {"bits": 32}])
def test_the_score_that_is_explained_ranks_the_same(index: Index, options: dict[str, Any]) -> None:
    finder = Finder(index, **options).fit(of_class(index, 2)[:3])
    found = finder.search(k=50)
    paths, features = table(index)
    rows = torch.from_numpy(features[[paths.index(match.image) for match in found]]).float()
    rows = (7 * rows).requires_grad_()
    scores = finder.explained_score(rows)
    torch.autograd.backward(scores.sum())
    assert rows.grad is not None
    assert rows.grad.abs().sum() > 0
    ranks = np.argsort(np.argsort(-scores.detach().numpy()))
    assert np.corrcoef(ranks, np.arange(50))[0, 1] > (0.7 if options.get("bits") else 0.98)


def test_what_cannot_be_found(index: Index, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    good = of_class(index, 0)[0]
    with pytest.raises(InputError, match=r"no example .* bad\.png|bad\.png"):
        Finder(index).fit(bad)
    assert Finder(index).fit([good, bad]).search(3).skipped[0][0] == str(bad)
    with pytest.raises(InputError, match="give one or more"):
        Finder(index).fit([])
    with pytest.raises(InputError, match=r"call fit\(examples\) first"):
        Finder(index).search()
    with pytest.raises(InputError, match="1 match"):
        Finder(index).fit(good).search(0)
    with pytest.raises(InputError, match="radius"):
        Finder(index).fit(good).range(-1)
    with pytest.raises(InputError, match="1 to 512"):
        Finder(index, bits=513).fit(good).search(1)
    with pytest.raises(InputError, match="is one of auto"):
        Finder(index, head="nearest").fit(good)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no index here"):
        Finder(tmp_path / "nowhere").fit(good)


def test_an_index_of_the_examples_alone_answers_nothing(
    tmp_path: Path, draw: Draw, means: Prototypes
) -> None:
    path = draw(tmp_path / "photos" / "a.png", 0)
    index = Index.build(tmp_path / "photos", model=means)
    for head in ("prototype", "logistic"):
        assert len(Finder(index, head=head).fit(path).search()) == 0
    assert len(Finder(index, bits=8).fit(path).search()) == 0
