"""Dense matching against all pairs in double precision, and its loss against counting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from handful.backbones import FeatureMaps
from handful.errors import InputError
from handful.methods.dense_pixels import cells, joined
from handful.methods.dense_siamese import (
    FEATURES,
    DenseSiamese,
    DenseSiameseSegmentation,
    pair_loss,
)
from handful.methods.masks.states import pack_states, unpack_states
from handful.methods.segmenter import CUT, Mask, SegmentationMethod


class Colours(FeatureMaps):
    """The pixels themselves, at strides 16 and 32 by name alone."""

    def __init__(self) -> None:
        strides = {"one": 16, "two": 32}
        super().__init__("colours", nn.Conv2d(1, 1, 1), strides, dict.fromkeys(strides, 3), 0)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"one": x, "two": nn.functional.avg_pool2d(x, 2)}

    def embed(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _download(self) -> None:  # type: ignore[override]
        raise NotImplementedError


@pytest.fixture
def method() -> DenseSiameseSegmentation:
    torch.manual_seed(0)
    model = DenseSiamese(Colours(), width=5)
    with torch.no_grad():
        model.similarity.alpha.copy_(torch.tensor([-3.0, 0.4, -1.0, -0.2, 0.0]))
    return DenseSiameseSegmentation(model.eval(), "dense-siamese:colours")


def picture(seed: int, side: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def labels_of_all_pairs(
    method: DenseSiameseSegmentation, query: Tensor, support: list[Tensor], masks: list[Mask]
) -> np.ndarray:
    """Return the label of the nearest known support pixel, the first of equals, by equation."""
    alpha = method.model.similarity.alpha.detach().double()
    pixels, labels = [], []
    for found, mask in zip(support, masks, strict=True):
        shown, known = (part.flatten() for part in cells(mask, found.shape[1:]))  # type: ignore[arg-type]
        pixels.append(found.flatten(1).mT[known])
        labels.append(shown[known])
    rows, every = query.flatten(1).mT.double(), torch.cat(pixels).double()
    similarity = ((rows[:, None] - every[None]).abs() * alpha).sum(2)
    return torch.cat(labels)[similarity.argmax(1)].view(query.shape[1:]).numpy()


def test_every_pixel_takes_the_label_of_the_nearest(method: DenseSiameseSegmentation) -> None:
    assert isinstance(method, SegmentationMethod)
    rng = np.random.default_rng(0)
    for seed in range(4):
        query, *support = method.encode([picture(10 * seed + n) for n in range(3)])
        masks = [rng.choice([0, 1, 255], (8, 8), p=[0.5, 0.4, 0.1]).astype(np.uint8) for _ in "ab"]
        answer = method.answer(query, [method.condition(support, masks)])
        truth = labels_of_all_pairs(method, query[FEATURES], [s[FEATURES] for s in support], masks)
        assert 0 < truth.mean() < 1
        assert ((answer.masks[0] >= CUT).numpy() == truth).all()


def test_of_equal_pixels_the_first_gives_the_label(method: DenseSiameseSegmentation) -> None:
    """A flat photo says nothing: its first pixel labels the whole query."""
    features = method.encode([np.full((8, 8, 3), 90, np.uint8)])
    mask = np.zeros((8, 8), np.uint8)
    mask[0, 0] = 1
    for shown in (mask, 1 - mask):
        answer = method.answer(features[0], [method.condition(features, [shown])])
        assert ((answer.masks[0] >= CUT) == bool(shown[0, 0])).all()
        torch.testing.assert_close(answer.masks[0], torch.full((8, 8), 0.5))


def test_masks_say_how_much_more_similar_the_nearest_is(method: DenseSiameseSegmentation) -> None:
    query, support = method.encode([picture(0), picture(1)])
    mask = (np.random.default_rng(2).random((8, 8)) < 0.5).astype(np.uint8)
    similarity = method.model.similarity
    rows, every = (found[FEATURES].float().flatten(1).mT for found in (query, support))
    with torch.no_grad():
        logits = similarity(rows, every)
    there = torch.from_numpy(mask.flatten() == 1)
    ahead = logits[:, there].amax(1) - logits[:, ~there].amax(1)
    answer = method.answer(query, [method.condition([support], [mask])])
    torch.testing.assert_close(answer.masks[0].flatten(), ahead.sigmoid(), rtol=1e-4, atol=1e-5)
    # with no ground what is left is the similarity itself
    whole = method.answer(query, [method.condition([support], [np.ones_like(mask)])])
    torch.testing.assert_close(
        whole.masks[0].flatten(), logits.amax(1).sigmoid(), rtol=1e-4, atol=1e-5
    )


def test_states_survive_a_file(method: DenseSiameseSegmentation) -> None:
    query, support = method.encode([picture(0), picture(1)])
    mask = (np.random.default_rng(2).random((8, 8)) < 0.5).astype(np.uint8)
    states = [method.condition([support], [mask]), method.condition([support], [1 - mask])]
    again = unpack_states(*pack_states(states), 2)
    assert torch.equal(method.answer(query, states).masks, method.answer(query, again).masks)


def test_features_are_one_convolution_over_the_joined_maps(
    method: DenseSiameseSegmentation,
) -> None:
    model = method.model
    maps = model.maps(torch.randn(2, 3, 8, 8))
    whole = model.similarity.project(joined([maps["one"], maps["two"]]))
    torch.testing.assert_close(model.features(maps), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("balanced", [False, True])
def test_the_loss_is_the_mean_over_pairs(balanced: bool) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 4, dtype=torch.float64)
    query = torch.tensor([[1, 0, 255, 0, 0], [0, 0, 0, 255, 0]])
    support = torch.tensor([[1, 1, 0, 255], [0, 1, 255, 1]])
    total = weights = 0.0
    for n in range(2):
        for q, a in enumerate(query[n].tolist()):
            for s, b in enumerate(support[n].tolist()):
                if 255 in (a, b):
                    continue
                sizes = int((query[n] == a).sum()) * int((support[n] == b).sum())
                weight = 1 / sizes if balanced else 1.0
                signed = logits[n, q, s] if a == b else -logits[n, q, s]
                total -= weight * float(logsigmoid(signed))
                weights += weight
    found = pair_loss(logits, query, support, balanced)
    assert float(found) == pytest.approx(total / weights, rel=1e-6)


def test_nothing_known_costs_nothing() -> None:
    void = torch.full((1, 3), 255)
    assert float(pair_loss(torch.randn(1, 3, 3), void, void)) == 0


def test_similarity_learns_with_the_features(method: DenseSiameseSegmentation) -> None:
    model = method.model
    features = model.features(model.maps(torch.randn(2, 3, 8, 8))).flatten(2).mT
    logits = model.similarity(features[:1], features[1:])
    labels = torch.randint(0, 2, (2, 64))
    torch.autograd.backward(pair_loss(logits, labels[:1], labels[1:]))
    for name, parameter in model.named_parameters():
        learns = name.startswith("similarity.")
        assert (parameter.grad is not None and bool(parameter.grad.any())) == learns, name


def test_weights_of_another_width_are_refused(method: DenseSiameseSegmentation) -> None:
    model = method.model
    halves = {name: value.half() for name, value in model.similarity.state_dict().items()}
    DenseSiamese(Colours(), width=5).load_learned(halves)
    for wrong in (DenseSiamese(Colours(), width=4), DenseSiamese(Colours(), ["one"], width=5)):
        with pytest.raises(InputError, match="weights of another dense matching"):
            wrong.load_learned(halves)
