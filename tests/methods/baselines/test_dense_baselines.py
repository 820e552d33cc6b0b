"""Baselines on dense features against scikit-learn, and against what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from handful.backbones import build
from handful.backbones.features import FeatureMaps
from handful.errors import InputError
from handful.methods import segmenters
from handful.methods.baselines.cosegmentation import SIDE, ColourSupport, Cosegmentation
from handful.methods.baselines.dense_logistic import DenseLogistic, Plane, solve
from handful.methods.baselines.dense_nearest import DenseNearest
from handful.methods.baselines.fine_tuning import TRUNK, FineTuning
from handful.methods.dense_pixels import cells
from handful.methods.masks.states import pack_states, unpack_states
from handful.methods.segmenter import CUT, SegmentationMethod


@pytest.fixture(scope="module")
def network() -> FeatureMaps:
    return build("handful-base").load()


def scene(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a photo of an orange square on a striped ground, and its mask."""
    rng = np.random.default_rng(seed)
    photo = np.tile(rng.integers(60, 160, (1, 128, 3)), (128, 1, 1)).astype(np.uint8)
    y, x = rng.integers(0, 5, 2) * 16
    photo[y : y + 64, x : x + 64] = (250, 150, 0)
    mask = np.zeros((128, 128), np.uint8)
    mask[y : y + 64, x : x + 64] = 1
    return photo, mask


def pixels(method: SegmentationMethod, found: object) -> NDArray[np.float32]:
    rows = method._pixels(found).flatten(1).mT.half().float()  # type: ignore[attr-defined]
    return np.asarray(rows)


def labelled(
    method: SegmentationMethod, scenes: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    features = method.encode([photo for photo, _ in scenes])
    rows = np.concatenate([pixels(method, found) for found in features])
    labels = np.concatenate([cells(mask, (8, 8))[0].flatten().numpy() for _, mask in scenes])
    return rows, labels


def answered(method: SegmentationMethod, shots: int = 2) -> NDArray[np.float32]:
    scenes = [scene(seed) for seed in range(shots + 1)]
    features = method.encode([photo for photo, _ in scenes])
    state = method.condition(features[1:], [mask for _, mask in scenes[1:]])
    answer = method.answer(features[0], [state, state])
    assert torch.equal(answer.masks[0], answer.masks[1])
    assert 0 <= float(answer.presence[0]) <= 1
    return np.asarray(answer.masks[0])


def test_nearest_is_scikit_learns(network: FeatureMaps) -> None:
    method = DenseNearest(network, "dense-nearest")
    rows, labels = labelled(method, [scene(1), scene(2)])
    rival = KNeighborsClassifier(1, metric="cosine").fit(rows, labels)
    query = pixels(method, method.encode([scene(0)[0]])[0])
    truth = rival.predict(query).reshape(8, 8)
    assert 0 < truth.mean() < 1
    assert ((answered(method) >= CUT) == truth).mean() >= 63 / 64  # a tie in half precision


@pytest.mark.parametrize("balanced", [True, False])
def test_logistic_is_scikit_learns(network: FeatureMaps, balanced: bool) -> None:
    method = DenseLogistic(network, "dense-logistic", c=2.0, balanced=balanced)
    rows, labels = labelled(method, [scene(1), scene(2)])
    weight = "balanced" if balanced else None
    rival = LogisticRegression(C=2.0, class_weight=weight, tol=1e-10, max_iter=10000)
    rival.fit(rows.astype(np.float64), labels)
    query = np.asarray(method._pixels(method.encode([scene(0)[0]])[0]).flatten(1).mT)
    truth = rival.predict_proba(query)[:, 1].reshape(8, 8)
    np.testing.assert_allclose(answered(method), truth, atol=1e-5)


@pytest.mark.parametrize(("count", "width"), [(40, 5), (12, 30)])
def test_the_solver_ends_where_the_gradient_is_zero(count: int, width: int) -> None:
    torch.manual_seed(0)
    rows = 3 * torch.randn(count, width, dtype=torch.float64)
    truth = (torch.rand(count) < 0.3).double()
    truth[:2] = torch.tensor([0.0, 1.0])
    weight = 100 * torch.rand(count, dtype=torch.float64)
    plane = solve(rows, truth, weight)
    w = torch.cat([plane.weights, plane.bias[None]]).double().requires_grad_()
    logits = rows @ w[:-1] + w[-1]
    signs = 2 * truth - 1
    loss = w[:-1].square().sum() / 2 + (weight * torch.log1p(torch.exp(-signs * logits))).sum()
    gradient = torch.autograd.grad(loss, w)[0]
    assert gradient.abs().max() < 1e-4 * weight.sum()


def test_without_ground_everything_is_the_object(network: FeatureMaps) -> None:
    photo, mask = scene(0)
    for method in (DenseNearest(network, "n"), DenseLogistic(network, "l")):
        features = method.encode([photo])
        state = method.condition(features, [np.ones_like(mask)])
        assert (method.answer(features[0], [state]).masks >= CUT).all()


def test_fine_tuning_learns_its_support_and_leaves_the_network(network: FeatureMaps) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    method = FineTuning(network, "fine-tuning", steps=10)
    photo, mask = scene(1)
    features = method.encode([photo])
    assert features[0][TRUNK].shape[1:] == (8, 8)
    with torch.inference_mode():
        first = method.condition(features, [mask])
        answer = method.answer(features[0], [first]).masks[0]
    assert ((answer >= CUT) == cells(mask, (8, 8))[0]).float().mean() > 0.9
    second = method.condition(features, [mask])
    assert torch.equal(method.answer(features[0], [second]).masks[0], answer)
    untuned = FineTuning(network, "fine-tuning", steps=0)
    zero = untuned.condition(features, [mask])
    assert (untuned.answer(features[0], [zero]).masks == 0.5).all()
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(InputError, match="fit it again"):
        pack_states([first])


def test_cosegmentation_takes_the_colours_of_the_support(network: FeatureMaps) -> None:
    """By features alone a mask has cells of a sixth of the photo; by colours it is exact."""
    found = answered(Cosegmentation(network, "cosegmentation"))
    truth = cells(scene(0)[1], (SIDE, SIDE))[0].numpy()
    both, either = (found >= CUT) & truth, (found >= CUT) | truth
    assert both.sum() / either.sum() > 0.95


def test_a_speck_is_sure_in_the_small_photo(network: FeatureMaps) -> None:
    method = Cosegmentation(network, "cosegmentation")
    photo = np.zeros((500, 700, 3), np.uint8)
    mask = np.zeros((500, 700), np.uint8)
    mask[250, 351], mask[:50] = 1, 255
    state = method.condition(method.encode([photo]), [mask])
    assert (state.hints == 1).sum() == 1
    assert abs((state.hints[0] == 1).nonzero() - torch.tensor([60, 60])).max() <= 1
    assert (state.hints[0, :12] == 2).all()


def test_states_survive_a_file(network: FeatureMaps) -> None:
    photo, mask = scene(0)
    methods: list[SegmentationMethod] = [
        DenseNearest(network, "n"),
        DenseLogistic(network, "l"),
        Cosegmentation(network, "c"),
    ]
    for method in methods:
        features = method.encode([photo])
        states = [method.condition(features, [mask]), method.condition(features, [1 - mask])]
        again = unpack_states(*pack_states(states), 2)
        before, after = (method.answer(features[0], found) for found in (states, again))
        assert torch.equal(before.masks, after.masks)
    for kind in (Plane, ColourSupport):
        with pytest.raises(InputError, match="fit again"):
            kind.from_tensors({})


def test_they_are_found_by_name() -> None:
    for name in ("dense-nearest", "dense-logistic", "fine-tuning", "cosegmentation"):
        method = segmenters.load(name)
        assert (method.name, method.backbone) == (name, "handful-base")
        with pytest.raises(InputError, match="learns nothing"):
            segmenters.load(name, weights="w.safetensors")
