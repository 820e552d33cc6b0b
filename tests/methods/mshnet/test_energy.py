"""Energy maps through the door: what the model itself gives, of one class and all its shots."""

from __future__ import annotations

import numpy as np
import torch

from handful.methods.mshnet import LIGHT, MSHNet
from handful.methods.mshnet.segmentation import MSHNetSegmentation
from handful.methods.segmenter import Attentive, Energetic


def test_the_method_shows_the_similarities_of_its_blocks() -> None:
    torch.manual_seed(0)
    model = MSHNet("handful-base", widths=LIGHT).eval()
    method = MSHNetSegmentation(model, "mshnet-light")
    assert isinstance(method, Energetic)
    assert not isinstance(method, Attentive)
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (3, 64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[8:40, 16:48] = 1
    features = method.encode(list(photos))
    both = method.energy(features[0], method.condition(features[1:], [mask, mask]))
    single = [method.energy(features[0], method.condition([f], [mask])) for f in features[1:]]
    assert set(both) == {"prototype", "cosine"}
    for kind, levels in both.items():
        assert {stride: found.shape for stride, found in levels.items()} == {
            8: (8, 8), 16: (4, 4), 32: (2, 2),
        }  # fmt: skip
        for stride, found in levels.items():
            # the mean over the shots is the mean of the shots
            mean = (single[0][kind][stride] + single[1][kind][stride]) / 2
            np.testing.assert_allclose(found, mean, atol=1e-6)
            assert found.std() > 0

    # by hand, from the maps that were kept: the mean positive cosine to the object's pixels
    query, shot = (features[n] for n in (0, 1))
    names = [name for name, stride in model.backbone.strides.items() if stride == 32]
    state = method.condition([shot], [mask])
    means = []
    for name in names:
        pixels = query[name].double().flatten(1)
        pixels = pixels / pixels.norm(dim=0)
        object_ = state.pixels[name].double()
        object_ = object_ / object_.norm(dim=1, keepdim=True)
        means.append((object_ @ pixels).clamp(min=0).mean(0).reshape(2, 2))
    wanted = torch.stack(means).mean(0).numpy()
    np.testing.assert_allclose(single[0]["cosine"][32], wanted, atol=2e-3)
