"""Validation trials against loops over queries and supports."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from handful.methods import Calibration
from handful.similarity import cosine
from handful.training import validation
from handful.training.characters import Characters
from handful.training.validation import Runs


@pytest.fixture(scope="module")
def runs(characters: Characters) -> Runs:
    # 12 ways: the alphabet of five characters comes repeated
    return Runs.draw(characters, 480, 12, seed=3)


def embed(ink: Tensor) -> Tensor:
    """A vector for each drawing by its character, moved by its drawer and by chance."""
    character, drawer = (ink[:, 0, 0, :2] * 255).round().long().unbind(1)
    rows = []
    for c, d in zip(character.tolist(), drawer.tolist(), strict=True):
        centre = torch.randn(8, generator=torch.Generator().manual_seed(c))
        noise = torch.randn(8, generator=torch.Generator().manual_seed(1000 + 10 * c + d))
        rows.append(centre + noise)
    return torch.stack(rows)


def test_draw(characters: Characters, runs: Runs) -> None:
    assert runs.character.shape == runs.drawer.shape == (40, 2, 12)
    again = Runs.draw(characters, 480, 12, seed=3)
    assert torch.equal(runs.character, again.character)
    assert not torch.equal(runs.character, Runs.draw(characters, 480, 12, seed=4).character)
    assert (runs.character[:, 0, 0] < 5).any()
    assert Runs.draw(characters, 3, 12, seed=0).character.shape == (1, 2, 12)


def test_each_drawing_is_encoded_once_and_put_in_its_places(
    characters: Characters, runs: Runs
) -> None:
    sizes: list[int] = []

    def encode(ink: Tensor) -> Tensor:
        sizes.append(len(ink))
        return ink[:, 0, 0, :2] * 255

    features = runs.encode(characters, encode)
    places = torch.stack([runs.character, runs.drawer], -1)
    torch.testing.assert_close(features, places.float())
    assert sum(sizes) == len({*map(tuple, places.flatten(0, 2).tolist())})
    assert max(sizes) <= 128


def test_accuracy_is_a_loop_over_queries(characters: Characters, runs: Runs) -> None:
    features = runs.encode(characters, embed)
    right = []
    for run in range(40):
        (support, query), names = features[run], runs.character[run, 0].tolist()
        for way in range(12):
            gaps = [float((query[way] - other).norm()) for other in support]
            # a repeated character is right in each of its columns
            right.append(names[gaps.index(min(gaps))] == names[way])
    expected = sum(right) / len(right)
    assert 0.2 < expected < 0.95
    found = runs.accuracy(features, lambda q, s: -torch.cdist(q, s))
    assert found == pytest.approx(expected)


def test_calibration_asks_about_its_own_character_or_leaves_it_out(
    characters: Characters, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores handed to the fit, against loops; scores of one's own character are marked."""
    given: list[Tensor] = []

    def fit(*scores: Tensor) -> Calibration:
        given.extend(scores)
        return Calibration(1.0, 0.0, 1.0, 0.5, 0.5)

    def compare(query: Tensor, support: Tensor) -> Tensor:
        """Tell query and support apart, and 1000 more where both show one character."""
        own = query[:, None, 0] == support[None, :, 0]
        return query[:, None, 0] + support[None, :, 0] / 100 + 1000 * own

    monkeypatch.setattr(validation, "fit_calibration", fit)
    features = runs.encode(characters, lambda ink: ink[:, 0, 0, :2] * 255)
    runs.calibration(features, compare)
    same, different, known, truth, unknown = given
    assert (same >= 1000).all()
    assert (different < 1000).all()
    assert known.shape == (480, 12)
    assert unknown.shape == (960, 12)
    assert truth.tolist() == [*range(12)] * 40

    names = runs.character[:, 0]
    row, pairs = 0, 0
    for run in range(40):
        for way in range(12):
            own = names[run] == names[run, way]
            pairs += int(own.sum())
            # the query of the row keeps one column of its own character, the right one
            assert known[row, way] >= 1000
            assert int((known[row] >= 1000).sum()) == 1
            # its own character is not among the supports of an unknown query
            assert (unknown[row] < 1000).all()
            assert torch.equal(unknown[row].isinf(), own)
            shown = ~own
            assert torch.equal(unknown[row, shown], known[row, shown])
            # the other half of the strangers: the next run's queries, never one of this support
            stranger = names[(run + 1) % 40, way]
            assert (unknown[480 + row] < 1000).all()
            assert torch.equal(unknown[480 + row].isinf(), names[run] == stranger)
            row += 1
    assert len(same) == pairs
    assert len(same) + len(different) == 40 * 12 * 12


def test_a_small_alphabet_does_not_spoil_the_calibration(
    characters: Characters, runs: Runs
) -> None:
    features = runs.encode(characters, embed)
    fitted = runs.calibration(features, cosine)
    assert 0.5 < fitted.temperature < 50
    assert fitted.slope > 1
    assert 0.3 < fitted.reject < 1
    assert 0.3 < fitted.verify < 0.9
