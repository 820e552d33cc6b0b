from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handful.backbones import FeatureMaps
from handful.errors import InputError
from handful.methods.dense_features import encode_maps, presence_of
from handful.methods.mshnet import LIGHT, MSHNet
from handful.methods.mshnet.segmentation import MSHNetSegmentation
from handful.methods.prototype_segmentation import PrototypePair, PrototypeSegmentation
from handful.methods.segmenter import SegmentationMethod


class Colours(FeatureMaps):
    """The pixels themselves, at strides 1 and 2."""

    def __init__(self) -> None:
        super().__init__("colours", nn.Conv2d(1, 1, 1), {"one": 1, "two": 2}, {}, 0)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"one": x, "two": nn.functional.avg_pool2d(x, 2)}

    def embed(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _download(self) -> None:  # type: ignore[override]
        raise NotImplementedError


def picture(seed: int, side: int = 8) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def normalised(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return unit features (H, W, 3), by hand."""
    x = (image / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    return x / np.linalg.norm(x, axis=2, keepdims=True)


def unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x / np.linalg.norm(x)


def test_masks_are_those_of_the_definition() -> None:
    """Two shots of unequal areas, with void: each counts alike, void not at all."""
    method = PrototypeSegmentation(Colours(), "p", ("one",), margin=0.1, scale=3)
    photos, query = [picture(0), picture(1)], picture(2)
    masks = [np.zeros((8, 8), np.uint8) for _ in range(2)]
    masks[0][:3, :3] = 1
    masks[1][2:, 2:] = 1
    masks[1][0] = 255
    state = method.condition(method.encode(photos), masks)
    sides = [
        unit(
            np.mean(
                [normalised(p)[m == value].mean(0) for p, m in zip(photos, masks, strict=True)], 0
            )
        )
        for value in (1, 0)
    ]
    margin = normalised(query) @ sides[0] - normalised(query) @ sides[1]
    truth = 1 / (1 + np.exp(-3 * (margin - 0.1)))
    found = method.answer(method.encode([query])[0], [state])
    np.testing.assert_allclose(found.masks[0].numpy(), truth, atol=5e-3)
    assert found.presence[0] == pytest.approx(truth.max(), abs=5e-3)


def test_several_classes_and_layers_answer_as_if_alone() -> None:
    method = PrototypeSegmentation(Colours(), "p", ("two", "one"))
    features = method.encode([picture(0), picture(1)])
    mask = np.zeros((16, 16), np.uint8)
    mask[:8, :4] = 1
    states = [method.condition([found], [mask]) for found in features]
    both = method.answer(features[0], states)
    assert both.masks.shape == (2, 8, 8)
    for n in range(2):
        alone = method.answer(features[0], [states[n]])
        torch.testing.assert_close(both.masks[n : n + 1], alone.masks)
    again = PrototypePair.from_tensors(states[0].tensors())
    assert torch.equal(method.answer(features[0], [again]).masks[0], both.masks[0])


def test_masks_without_object_or_surroundings() -> None:
    method = PrototypeSegmentation(Colours(), "p", ("one",))
    features = method.encode([picture(0), picture(1)])
    whole, none = np.ones((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    state = method.condition(features[:1], [whole])
    assert not state.background["one"].any()
    joined = method.condition(features, [whole, none])
    torch.testing.assert_close(joined.foreground["one"], state.foreground["one"])
    assert joined.background["one"].any()
    for wrong in ([none], [np.full((8, 8), 255, np.uint8)]):
        with pytest.raises(InputError, match="no mask shows the object"):
            method.condition(features[:1], wrong)
    with pytest.raises(InputError, match="1 masks for 2 photos"):
        method.condition(features, [whole])
    with pytest.raises(InputError, match="colours: has no map stride16; there are one, two"):
        PrototypeSegmentation(Colours(), "p")


def test_photos_of_any_sizes_are_encoded_in_their_order() -> None:
    network = Colours()
    images = [picture(n, side) for n, side in enumerate((8, 8, 8, 8, 8, 4, 8))]
    encoded = encode_maps(network, images, network)
    for image, maps in zip(images, encoded, strict=True):
        alone = encode_maps(network, [image], network)[0]
        assert maps["one"].shape == (3, *image.shape[:2])
        assert torch.equal(maps["one"], alone["one"])


def test_presence_is_the_mean_of_the_surest_64th() -> None:
    masks = torch.zeros(2, 16, 16)
    masks[0, 3, :3] = torch.tensor([1.0, 0.6, 0.4])
    torch.testing.assert_close(presence_of(masks), torch.tensor([0.5, 0.0]))


def test_mshnet_is_behind_the_same_door() -> None:
    torch.manual_seed(0)
    model = MSHNet("handful-base", widths=LIGHT).eval()
    model.backbone.load()
    method = MSHNetSegmentation(model, "mshnet-light")
    assert isinstance(method, SegmentationMethod)
    assert isinstance(PrototypeSegmentation(Colours(), "p", ("one",)), SegmentationMethod)
    features = method.encode([picture(0, 96), picture(1, 64)])
    mask = np.zeros((96, 96), np.uint8)
    mask[20:60, 30:70] = 1
    empty = np.zeros((64, 64), np.uint8)
    state = method.condition(features, [mask, empty])
    assert state.shots == 1
    answer = method.answer(features[1], [state, method.condition(features, [mask, mask])])
    with torch.no_grad():
        query = {name: value[None] for name, value in features[1].items()}
        truth = model(query, state).masks
    torch.testing.assert_close(answer.masks[:1], truth, rtol=0, atol=1e-5)
    assert answer.presence.shape == (2,)
    with pytest.raises(InputError, match="no mask shows the object"):
        method.condition(features[1:], [empty])
