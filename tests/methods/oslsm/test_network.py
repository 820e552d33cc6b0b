"""OSLSM against the same network written naively in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, interpolate, linear

from handful.backbones import build
from handful.errors import InputError
from handful.methods.masks.states import pack_states, unpack_states
from handful.methods.oslsm import OSLSM, PixelClassifiers, masked_view
from handful.methods.oslsm.segmentation import OSLSMSegmentation
from handful.segment import Segmenter

LAYERS = ("stride16", "stride8")


def model(**options: object) -> OSLSM:
    torch.manual_seed(0)
    about: dict[str, object] = {"layers": LAYERS, "outputs": 12, "width": 20, "support_size": 64}
    return OSLSM(build("random:handful-base"), **(about | options)).eval()  # type: ignore[arg-type]


def square(height: int, width: int, box: tuple[int, int, int, int]) -> torch.Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    top, left, bottom, right = box
    mask[top:bottom, left:right] = True
    return mask


def test_logits_are_those_of_the_naive_form() -> None:
    net = model(kernel=3).double()
    generator = torch.Generator().manual_seed(1)
    photo, query = torch.randn(2, 1, 3, 64, 64, dtype=torch.float64, generator=generator)
    mask = square(64, 64, (10, 20, 50, 40))
    with torch.no_grad():
        found = net(query, [net.condition(photo, mask[None])])[0]
        # the conditioning branch, by the dense matrix
        head = net.conditioning
        outputs = linear(net.backbone.embed(photo * mask), head.classify.weight, head.classify.bias)
        theta = (outputs @ head.hashing.dense_weight().T)[0]
        # the segmentation branch: all maps on the finest grid, joined, one convolution
        maps = net.backbone(query)
        fine, coarse = maps["stride8"], maps["stride16"]
        first = net.dense.first.state_dict()
        x = conv2d(fine, first["stride8.weight"], first["stride8.bias"], padding=1)
        low = conv2d(coarse, first["stride16.weight"], padding=1)
        x = (x + interpolate(low, fine.shape[2:], mode="bilinear")).relu()
        x = conv2d(x, net.dense.second.weight, net.dense.second.bias).relu()[0]
        scores = torch.zeros(x.shape[1:], dtype=torch.float64)
        for i, j in np.ndindex(*x.shape[1:]):
            scores[i, j] = theta[:-1] @ x[:, i, j] + theta[-1]
        naive = interpolate(scores[None, None], (64, 64), mode="bilinear")[0, 0]
    assert net.layers == ("stride8", "stride16")
    torch.testing.assert_close(found, naive, rtol=1e-10, atol=1e-10)


def test_gradients_reach_all_that_learns_and_nothing_else() -> None:
    for learns in ("heads", "all"):
        net = model(learns=learns)
        photo, query = torch.rand(2, 1, 3, 64, 64)
        logits = net(query, [net.condition(photo, square(64, 64, (0, 0, 40, 40))[None])])
        logits.square().mean().backward()
        touched = {name for name, p in net.named_parameters() if p.grad is not None}
        assert {"conditioning.classify.weight", "dense.second.bias"} <= touched
        backbones = {name.split(".")[1] for name in touched if name.startswith("backbones.")}
        assert backbones == (set() if learns == "heads" else {"0", "1"})


def test_several_shots_are_the_or_of_their_masks() -> None:
    generator = torch.Generator().manual_seed(2)
    state = PixelClassifiers(torch.randn(5, 7, generator=generator), torch.zeros(5))
    maps = torch.randn(7, 6, 4, generator=generator)
    together = state.logits(maps, (24, 16)) >= 0
    alone = [
        PixelClassifiers(state.weight[k : k + 1], state.bias[k : k + 1]).logits(maps, (24, 16)) >= 0
        for k in range(5)
    ]
    assert torch.equal(together, torch.stack(alone).any(0))
    assert any(not torch.equal(together, one) for one in alone)


@pytest.mark.parametrize("view", ["photo", "object"])
def test_what_is_masked_is_not_seen(view: str) -> None:
    photo, mask = torch.rand(3, 50, 70), square(50, 70, (10, 20, 30, 45))
    seen = masked_view(photo, mask, 32, view)  # type: ignore[arg-type]
    other = torch.where(mask, photo, torch.rand(3, 50, 70))
    assert torch.equal(seen, masked_view(other, mask, 32, view))  # type: ignore[arg-type]
    changed = photo.clone()
    changed[:, 20, 30] += 1
    assert not torch.equal(seen, masked_view(changed, mask, 32, view))  # type: ignore[arg-type]


def test_the_view_of_an_object_is_the_same_wherever_it_stands() -> None:
    thing = torch.rand(3, 20, 12)
    views = []
    for top, left in ((0, 0), (15, 30), (30, 58)):
        photo, mask = torch.rand(3, 50, 70), square(50, 70, (top, left, top + 20, left + 12))
        photo[:, top : top + 20, left : left + 12] = thing
        views.append(masked_view(photo, mask, 24, "object"))
    assert torch.equal(views[0], views[1])
    assert torch.equal(views[0], views[2])
    # 20 high with a tenth of it on either side: 24 pixels, so nothing is resized
    torch.testing.assert_close(views[0][:, 2:22, 6:18], thing, rtol=0, atol=1e-6)
    assert views[0].abs().sum() == pytest.approx(float(thing.sum()), rel=1e-5)


def test_a_classifier_begins_both_branches_as_an_fcn() -> None:
    net = model(layers=["stride32"], kernel=7, outputs=10, width=8)
    generator = torch.Generator().manual_seed(3)
    shapes = {"0": (8, 320 * 49), "3": (8, 8), "6": (10, 512)}
    tensors = {}
    for name, shape in shapes.items():
        tensors[f"classifier.{name}.weight"] = torch.randn(shape, generator=generator) * 0.05
        tensors[f"classifier.{name}.bias"] = torch.randn(shape[0], generator=generator)
    net.start_from_classifier(tensors)
    maps = torch.randn(1, 320, 7, 7, generator=generator)
    x = maps.flatten(1)
    for name in ("0", "3"):
        x = linear(x, tensors[f"classifier.{name}.weight"], tensors[f"classifier.{name}.bias"])
        x = x.relu()
    with torch.no_grad():
        dense = net.dense({"stride32": maps})
    # at the centre the convolution sees what the linear layer saw
    torch.testing.assert_close(dense[0, :, 3, 3], x[0], rtol=1e-4, atol=1e-4)
    assert torch.equal(net.conditioning.classify.weight, tensors["classifier.6.weight"])


def test_vgg_16_has_the_shapes_of_the_paper() -> None:
    with torch.device("meta"):
        net = OSLSM("vgg16", kernel=7)
    assert net.conditioning.classify.weight.shape == (1000, 4096)
    assert net.conditioning.hashing.dense_weight().shape == (4097, 1000)
    assert net.dense.first["stride32"].weight.shape == (4096, 512, 7, 7)
    assert net.dense.second.weight.shape == (4096, 4096, 1, 1)


@pytest.mark.parametrize("learns", ["heads", "all"])
def test_weights_tell_the_model(learns: str) -> None:
    first = model(learns=learns, kernel=3, view="object", seed=5)
    tensors = {name: value.clone() for name, value in first.learned().items()}
    again = OSLSM.of_weights(build("random:handful-base"), tensors).eval()
    assert again.layers == first.layers
    photo, query = torch.rand(2, 1, 3, 64, 64)
    mask = square(64, 64, (10, 20, 50, 40))[None]
    with torch.no_grad():
        one, other = (net(query, [net.condition(photo, mask)]) for net in (first, again))
    assert torch.equal(one, other)


def test_other_weights_are_refused() -> None:
    tensors = model().learned()
    with pytest.raises(InputError, match="no OSLSM"):
        OSLSM.of_weights("handful-base", {"head.weight": torch.zeros(1)})
    with pytest.raises(InputError, match="another OSLSM"):
        OSLSM.of_weights("handful-base", tensors | {"more": torch.zeros(1)})
    with pytest.raises(InputError, match="has no stride8"):
        OSLSM.of_weights(build("resnet18", nodes=["layer4"]), tensors)
    with pytest.raises(InputError, match="kernel 2 is odd"):
        model(kernel=2)


def test_the_door_in_two_sizes_with_a_shot_that_shows_nothing(tmp_path: Path) -> None:
    method = OSLSMSegmentation(model(view="object"), "oslsm")
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (h, w, 3)).astype(np.uint8) for h, w in ((64, 96), (80, 64))]
    features = method.encode(photos)
    mask, empty = np.zeros((64, 96), np.uint8), np.zeros((80, 64), np.uint8)
    mask[10:50, 10:60] = 1
    mask[0] = 255
    state = method.condition(features, [mask, empty])
    assert state.weight.shape == (1, 20)
    answer = method.answer(features[1], [state, state])
    assert answer.masks.shape == (2, 80, 64)
    assert torch.equal(answer.masks[0], answer.masks[1])
    assert 0 <= float(answer.masks.min()) <= float(answer.presence.max()) <= 1
    kind, tensors = pack_states([state])
    again = method.answer(features[1], unpack_states(kind, tensors, 1))
    assert torch.equal(again.masks[0], answer.masks[0])
    with pytest.raises(InputError, match="no mask shows"):
        method.condition(features[1:], [empty])
    with pytest.raises(InputError, match="2 masks for 1"):
        method.condition(features[1:], [empty, empty])


def test_a_mask_of_one_pixel_between_the_grid_still_conditions() -> None:
    method = OSLSMSegmentation(model(view="object"), "oslsm")
    photo = np.full((64, 64, 3), 90, np.uint8)
    mask = np.zeros((640, 640), np.uint8)
    mask[3, 3] = 1  # a grid of 64 looks at 5, 15, 25
    state = method.condition(method.encode([photo]), [mask])
    assert bool(state.weight.isfinite().all())


def test_the_verb_keeps_what_it_learned(tmp_path: Path) -> None:
    method = OSLSMSegmentation(model(), "oslsm")
    rng = np.random.default_rng(1)
    photo = rng.integers(0, 256, (80, 80, 3)).astype(np.uint8)
    mask = np.zeros((80, 80), bool)
    mask[20:60, 20:60] = True
    segmenter = Segmenter(method, reject=None).fit([photo], [mask])
    segmenter.save(tmp_path)
    again = Segmenter.load(tmp_path, model=method)
    one, other = segmenter.predict(photo[::-1])[0], again.predict(photo[::-1])[0]
    assert one.score == other.score
    assert one.area == other.area
