from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from handful.backbones.handful_base import HandfulBase
from handful.errors import InputError
from handful.methods.discriminant_segmentation import (
    STEPS,
    Discriminant,
    DiscriminantSegmentation,
)
from handful.methods.segmenter import Features, Mask, SegmentationMethod


@pytest.fixture(scope="module")
def method() -> DiscriminantSegmentation:
    return DiscriminantSegmentation(HandfulBase(), "discriminant:handful-base", ridge=0.5)


def photo(seed: int) -> tuple[Features, Mask]:
    """Random features on grids of 12 x 10 and 6 x 5, and a mask on the finer one."""
    made = torch.Generator().manual_seed(seed)
    mask = np.zeros((12, 10), np.uint8)
    mask[3:9, 2:7] = 1
    found = {
        "stride8": torch.randn(4, 12, 10, generator=made) + torch.from_numpy(mask) * 1.5,
        "stride16": torch.randn(6, 6, 5, generator=made),
        "stride32": torch.randn(5, 3, 3, generator=made),
        "colour": torch.rand(3, 12, 10, generator=made),
    }
    return found, mask


def cells(found: Features) -> NDArray[np.float64]:
    """What is told apart, (n, C): the maps in unit length on the finer grid, and the colours."""
    maps = [torch.nn.functional.normalize(found[n], dim=0) for n in ("stride8", "stride16")]
    maps[1] = torch.nn.functional.interpolate(maps[1][None], (12, 10), mode="bilinear")[0]
    joined: NDArray[np.float64] = torch.cat([*maps, found["colour"]]).flatten(1).T.double().numpy()
    return joined


def twin_of(shots: Sequence[tuple[Features, Mask]]) -> LinearDiscriminantAnalysis:
    # (S + .5 t I) is 1.5 times the covariance that is shrunk by a third
    twin = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5 / 1.5, priors=[0.5, 0.5])
    rows = np.concatenate([cells(found) for found, _ in shots])
    return twin.fit(rows, np.concatenate([mask.ravel() for _, mask in shots]))


def test_the_plane_is_that_of_scikit_learn(method: DiscriminantSegmentation) -> None:
    shot = photo(0)
    state = method.condition([shot[0]], [shot[1]])
    twin = twin_of([shot])
    assert np.allclose(state.weights, twin.coef_[0] / 1.5, atol=1e-4)
    query, _ = photo(2)
    soft = method.answer(query, [state]).masks[0]
    expected = 1 / (1 + np.exp(-twin.decision_function(cells(query)) / 1.5))
    assert np.allclose(soft.flatten(), expected, atol=1e-4)


def test_several_shots_move_the_plane_as_they_segment_one_another(
    method: DiscriminantSegmentation,
) -> None:
    shots = [photo(seed) for seed in range(4)]
    for _, mask in shots:  # most of what looks like the object is called ground: it is rare
        mask[4:, :] = 0
    overlaps = np.empty((4, STEPS))
    steps = np.linspace(0, 1, STEPS)
    for k, (found, mask) in enumerate(shots):
        others = [shot for i, shot in enumerate(shots) if i != k]
        twin = twin_of(others)
        inside = np.concatenate([cells(f)[m.ravel() == 1] for f, m in others])
        height = twin.decision_function(inside).mean()
        for j, step in enumerate(steps):
            answered = twin.decision_function(cells(found)) > step * height
            truth = mask.ravel() == 1
            overlaps[k, j] = (answered & truth).sum() / (answered | truth).sum()
    lost = overlaps[:, [overlaps.mean(0).argmax()]] - overlaps
    step = steps[np.flatnonzero(lost.mean(0) <= lost.std(0, ddof=1) / 2)[0]]
    assert 0 < step < 1
    state = method.condition([f for f, _ in shots], [m for _, m in shots])
    twin = twin_of(shots)
    inside = np.concatenate([cells(f)[m.ravel() == 1] for f, m in shots])
    height = twin.decision_function(inside).mean()
    assert np.allclose(state.weights, twin.coef_[0] / 1.5, atol=1e-4)
    assert np.isclose(float(state.bias), (twin.intercept_[0] - step * height) / 1.5, atol=1e-3)


def test_void_is_not_counted_and_classes_do_not_mix(method: DiscriminantSegmentation) -> None:
    found, mask = photo(3)
    void = mask.copy()
    void[:, 8:] = 255
    cut = {name: value.clone() for name, value in found.items()}
    cut["stride8"][:, :, 8:] = 100.0
    state, same = method.condition([found], [void]), method.condition([cut], [void])
    assert torch.allclose(state.weights, same.weights, atol=1e-5)
    other = method.condition([found], [1 - mask])
    both, alone = method.answer(found, [state, other]), method.answer(found, [other])
    assert torch.allclose(both.masks[1], alone.masks[0])
    assert both.presence[1] == alone.presence[0]


def test_its_state_is_kept_whole(method: DiscriminantSegmentation) -> None:
    found, mask = photo(4)
    state = method.condition([found], [mask])
    again = Discriminant.from_tensors(state.tensors())
    before, after = method.answer(found, [state]), method.answer(found, [again])
    assert torch.equal(before.masks, after.masks)
    assert torch.equal(before.presence, after.presence)
    with pytest.raises(InputError, match="without 'bias'"):
        Discriminant.from_tensors({"weights": state.weights})


def test_one_cell_is_enough_and_none_is_refused(method: DiscriminantSegmentation) -> None:
    assert isinstance(method, SegmentationMethod)
    found, mask = photo(5)
    one = np.zeros_like(mask)
    one[4, 4] = 1
    state = method.condition([found], [one])
    assert torch.isfinite(state.weights).all()
    soft = method.answer(found, [state]).masks[0]
    assert soft.argmax() == 4 * 10 + 4
    with pytest.raises(InputError, match="no mask shows"):
        method.condition([found], [np.zeros_like(mask)])


def test_presence_is_measured_by_the_examples_own(method: DiscriminantSegmentation) -> None:
    found, mask = photo(6)
    state = method.condition([found], [mask])
    assert method.answer(found, [state]).presence.item() == pytest.approx(1.0)
    pair = state.pair
    near, far = pair.foreground["stride32"], pair.background["stride32"]
    strength = {}
    for name, (one, other) in {"like": (near, far), "unlike": (far, near)}.items():
        query = {**found, "stride32": (one + 0.2 * other)[:, None, None].expand(-1, 3, 3).clone()}
        unit = query["stride32"][:, 0, 0] / query["stride32"][:, 0, 0].norm()
        expected = float((unit @ near - unit @ far) / state.evidence)
        strength[name] = method.answer(query, [state]).presence.item()
        assert strength[name] == pytest.approx(min(max(expected, 0.0), 1.0), abs=1e-4)
    assert strength["unlike"] == 0.0 < strength["like"]


def test_colours_are_the_means_of_the_photo(method: DiscriminantSegmentation) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    colour = method.encode([picture])[0]["colour"]
    expected = picture.reshape(8, 8, 12, 8, 3).mean((1, 3)).transpose(2, 0, 1) / 255
    assert np.allclose(colour.float(), expected, atol=1e-3)
