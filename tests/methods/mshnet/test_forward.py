"""The forward pass against MSHNet written again, plainly.

The reference takes loops for equations 2 to 5 and functional calls for section 4.3; it shares
nothing with the package but the names of the learned tensors.
"""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, cross_entropy, interpolate

from handful.backbones import FeatureMaps
from handful.methods.mshnet import (
    MSHNet,
    Output,
    Similarity,
    Widths,
    fused,
    inference,
    loss,
    winograd,
)
from handful.methods.mshnet.support import SupportState
from handful.methods.mshnet.winograd import WinogradConvolution

SMALL = Widths(prototype=6, cosine=8, merge=16, fusion=10, output=8)
SIDES = {8: 9, 16: 5, 32: 3}


class Toy(FeatureMaps):
    """Random maps: five of two widths."""

    def __init__(self) -> None:
        strides = {"a": 8, "b": 8, "c": 16, "d": 32, "e": 32}
        channels = {"a": 3, "b": 3, "c": 4, "d": 5, "e": 6}
        super().__init__("toy", nn.Identity(), strides, channels, features=0)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {
            name: torch.stack([self.draw(int(i.sum()), name) for i in x]) for name in self.strides
        }

    def draw(self, seed: int, name: str) -> Tensor:
        generator = torch.Generator().manual_seed(seed * 10 + ord(name))
        side = SIDES[self.strides[name]]
        shape = (self.channels[name], side, side)
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    def embed(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _download(self) -> None:  # type: ignore[override]
        raise NotImplementedError


def model_of(similarity: Similarity = "both", **options: object) -> MSHNet:
    """Return a small model in float64 that passes on what it sees, with batch norms that matter."""
    torch.manual_seed(1)
    model = MSHNet(Toy(), similarity, SMALL, **options).double()  # type: ignore[arg-type]
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
        if isinstance(part, nn.BatchNorm2d):
            for value in (part.running_mean, part.bias):
                nn.init.normal_(value, 0, 0.3)
            for value in (part.running_var, part.weight):
                nn.init.uniform_(value, 0.5, 1.5)
    return model.eval()


def photos(*seeds: int) -> Tensor:
    """Return photos of one pixel, whose value is the seed of their maps."""
    return torch.tensor(seeds, dtype=torch.float64)[:, None, None, None]


def boxes(count: int) -> Tensor:
    """Return masks: a box, a large box, an object that falls between all samples, none."""
    masks = torch.zeros(4, 65, 65)
    masks[0, 10:40, 20:50] = 1
    masks[1, :, 5:] = 1
    masks[2, 36:38, 12:15] = 1
    return masks[:count]


State = dict[str, Tensor]


def resize(x: Tensor, side: tuple[int, int]) -> Tensor:
    return interpolate(x, side, mode="bilinear", align_corners=True)


def object_features(features: Tensor, mask: Tensor) -> list[Tensor]:
    """Return equation 2's features of one shot: (C, h, w) and (H, W) to vectors (C,)."""
    height, width = features.shape[1:]
    small = resize(mask[None, None].double(), (height, width))[0, 0]
    positive = small[small > 0]
    if len(positive) == 0 and mask.max() > 0:
        small = interpolate(mask[None, None].double(), (height, width), mode="area")[0, 0]
        place = int(small.argmax())
        return [features[:, place // width, place % width]]
    return [
        features[:, y, x]
        for y in range(height)
        for x in range(width)
        if len(positive) and small[y, x] >= positive.mean() - 1e-6
    ]


def prototype_map(query: Tensor, pixels: list[Tensor], weight: Tensor) -> Tensor:
    """Return equations 3 and 4: the 2C map is built here."""
    channels, height, width = query.shape
    prototype = torch.stack(pixels).mean(0) if pixels else query.new_zeros(channels)
    joined = torch.cat([prototype[:, None, None].expand(-1, height, width), query])
    return torch.sigmoid(conv2d(joined[None], weight.reshape(1, -1, 1, 1)))[0, 0]


def cosine_map(query: Tensor, pixels: list[Tensor]) -> Tensor:
    """Return equation 5, pixel by pixel."""
    out = query.new_zeros(query.shape[1:])
    for y in range(query.shape[1]):
        for x in range(query.shape[2]):
            for pixel in pixels:
                here = query[:, y, x]
                out[y, x] += max(0.0, float(here @ pixel / (here.norm() * pixel.norm())))
    return out / max(1, len(pixels))


def convolution(x: Tensor, state: State, name: str, dilation: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    padding = weight.shape[-1] // 2 * dilation
    return conv2d(x, weight, state.get(f"{name}.bias"), padding=padding, dilation=dilation)


def cbr(x: Tensor, state: State, name: str, dilation: int = 1) -> Tensor:
    x = convolution(x, state, f"{name}.0", dilation)
    norm = [state[f"{name}.1.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    return batch_norm(x, *norm).relu()


def merging(similarities: dict[str, Tensor], state: State, name: str) -> Tensor:
    """Join one level: each kind's (K, n, h, w) of one task to (1, c, h, w)."""
    total: Tensor | float = 0.0
    for kind, x in similarities.items():
        branch = f"{name}.branches.{kind}"
        x = cbr(cbr(x, state, f"{branch}.block.0"), state, f"{branch}.block.1").mean(0, True)
        if kind == "prototype":
            views = [cbr(x, state, f"{branch}.shot.views.{i}", max(1, 2 * i)) for i in range(3)]
            x = cbr(torch.cat(views, 1), state, f"{branch}.shot.join")
        else:
            x = cbr(x, state, f"{branch}.shot")
        total = total + convolution(x, state, f"{name}.project.{kind}")
    assert isinstance(total, Tensor)
    x = cbr(total, state, f"{name}.mix")
    gate = torch.zeros_like(x[:, :, 0, 0])
    for pooled in (x.mean((2, 3)), x.flatten(2).max(2).values):
        inner = pooled @ state[f"{name}.gate.dense.0.weight"].T
        inner = (inner + state[f"{name}.gate.dense.0.bias"]).relu()
        gate = gate + inner @ state[f"{name}.gate.dense.2.weight"].T
        gate = gate + state[f"{name}.gate.dense.2.bias"]
    return cbr(x * torch.sigmoid(gate)[:, :, None, None], state, f"{name}.refine")


def fusion(coarse: Tensor, fine: Tensor, state: State, name: str, refined: bool) -> Tensor:
    up = resize(coarse, fine.shape[-2:])
    up = cbr(up, state, f"{name}.coarse") if refined else convolution(up, state, f"{name}.coarse")
    both = torch.cat([up, convolution(fine, state, f"{name}.fine")], 1)
    return cbr(cbr(both, state, f"{name}.join"), state, f"{name}.refine")


def classify(x: Tensor, state: State, name: str) -> Tensor:
    return convolution(convolution(x, state, f"{name}.0").relu(), state, f"{name}.2")


def forward(
    query: dict[str, Tensor],
    support: dict[str, Tensor],
    masks: Tensor,
    state: State,
    levels: list[list[str]],
    kinds: tuple[str, ...],
) -> tuple[Tensor, list[Tensor]]:
    """Segment one query, maps (1, C, h, w), by K shots, maps (K, C, h, w): logits, inner logits."""
    merged = []
    for index, level in enumerate(levels):
        found: dict[str, Tensor] = {}
        for kind in kinds:
            shots = []
            for shot, mask in enumerate(masks):
                layers = []
                for name in level:
                    x, pixels = query[name][0], object_features(support[name][shot], mask)
                    if kind == "prototype":
                        weight = state[f"prototype.{index}.weights.{len(x)}.weight"]
                        layers.append(prototype_map(x, pixels, weight))
                    else:
                        layers.append(cosine_map(x, pixels))
                shots.append(torch.stack(layers))
            found[kind] = torch.stack(shots)
        merged.append(merging(found, state, f"head.merges.{index}"))
    deep = fusion(merged[2], merged[1], state, "head.fusions.1", refined=False)
    x = fusion(deep, merged[0], state, "head.fusions.0", refined=True)
    x = cbr(x, state, "head.decoder.reduce")
    x = cbr(x + cbr(x, state, "head.decoder.residual"), state, "head.decoder.refine")
    x = resize(x, (2 * x.shape[2], 2 * x.shape[3]))
    inner = [classify(m, state, f"head.inner.{i}") for i, m in enumerate(merged)]
    return classify(x, state, "head.classify"), inner


@pytest.mark.parametrize("shots", [1, 2, 4])
@pytest.mark.parametrize("similarity", get_args(Similarity))
def test_forward_equals_the_plain_reference(similarity: Similarity, shots: int) -> None:
    model, masks = model_of(similarity), boxes(shots)
    query, support = model.features(photos(7)), model.features(photos(*range(shots)))
    state = model.support_state(support, masks, dtype=None)
    logits, inner = forward(query, support, masks, model.learned(), model.levels, model.kinds)
    with torch.no_grad():
        torch.testing.assert_close(model(query, state).logits, logits, rtol=0, atol=1e-10)
        found = model.head(model.similarities(query, [(0, [state])]), [shots], True)[1]
    for mine, truth in zip(found, inner, strict=True):
        torch.testing.assert_close(mine, truth, rtol=0, atol=1e-10)


def test_shots_are_averaged_and_weights_do_not_know_their_number() -> None:
    """The same shot twice is that shot; the order of shots plays no part."""
    model = model_of()
    query, maps, masks = model.features(photos(7)), model.features(photos(1, 2)), boxes(2)
    both = model.support_state(maps, masks, dtype=None)
    one, two = (
        model.support_state({n: m[i : i + 1] for n, m in maps.items()}, masks[i : i + 1], None)
        for i in range(2)
    )
    with torch.no_grad():
        single = model(query, one).logits
        torch.testing.assert_close(model(query, SupportState.join([one, one])).logits, single)
        joined = model(query, SupportState.join([one, two])).logits
        torch.testing.assert_close(joined, model(query, both).logits)
        torch.testing.assert_close(joined, model(query, SupportState.join([two, one])).logits)
    assert (joined - single).abs().max() > 1e-2


def test_tasks_share_what_they_can_and_answer_as_if_alone() -> None:
    model = model_of()
    maps = model.features(photos(0, 1, 2))
    states = [
        model.support_state({n: m[:k] for n, m in maps.items()}, boxes(k), None) for k in (1, 3)
    ]
    queries, size = photos(7, 8), (20, 30)
    with torch.no_grad():
        alone = [[model(q[None], s, size).logits[0] for s in states] for q in queries]
        classes = model(queries[:1], states, size).logits
        paired = model(queries, states, size).logits
        one_class = model(queries, states[1], size).logits
    torch.testing.assert_close(classes, torch.stack(alone[0]))
    torch.testing.assert_close(paired, torch.stack([alone[0][0], alone[1][1]]))
    torch.testing.assert_close(one_class, torch.stack([alone[0][1], alone[1][1]]))
    with pytest.raises(ValueError, match="3 queries and 2 supports"):
        model(photos(1, 2, 3), states)


@pytest.mark.parametrize("interaction", ["sum", "product"])
def test_every_weight_takes_the_gradient_of_finite_differences(interaction: str) -> None:
    model = model_of(interaction=interaction, weighted=True)
    model.train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d | nn.Dropout):
            part.eval()
    states = [model.support_state(photos(k), boxes(1), None) for k in range(2)]
    query = model.features(photos(7, 8))
    torch.manual_seed(0)
    target = torch.randint(0, 2, (2, 20, 20))
    target[:, :3] = 255

    def total() -> Tensor:
        return loss(model(query, states), target)

    total().backward()
    learned = [value for value in model.parameters() if value.requires_grad]
    assert all(value.grad is not None and value.grad.any() for value in learned)
    direction = [torch.randn_like(value) for value in learned]
    slope = sum(float((v.grad * d).sum()) for v, d in zip(learned, direction, strict=True))
    step, values = 1e-8, []
    with torch.no_grad():
        for sign in (1, -2):
            for value, d in zip(learned, direction, strict=True):
                value += sign * step * d
            values.append(float(total()))
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=1e-4)


def test_loss_is_the_last_entropy_plus_the_mean_of_the_inner_ones() -> None:
    torch.manual_seed(0)
    logits, inner = torch.randn(2, 2, 6, 6), [torch.randn(2, 2, n, n) for n in (6, 3, 2)]
    target = torch.randint(0, 2, (2, 6, 6))
    target[0, 0] = 255
    counted = target != 255

    def entropy(x: Tensor) -> Tensor:
        x = resize(x, (6, 6)).movedim(1, -1)[counted]
        return cross_entropy(x, target[counted])

    truth = entropy(logits) + sum(entropy(x) for x in inner) / 3
    torch.testing.assert_close(loss(Output(logits, tuple(inner)), target), truth)
    torch.testing.assert_close(loss(Output(logits), target), entropy(logits))


def test_energy_is_the_mean_similarity_of_a_level() -> None:
    model, masks = model_of(), boxes(2)
    query, support = model.features(photos(7)), model.features(photos(0, 1))
    energy = model.energy(query, model.support_state(support, masks, dtype=None))
    truth = torch.zeros(9, 9, dtype=torch.float64)
    for shot in range(2):
        for name in ("a", "b"):
            pixels = object_features(support[name][shot], masks[shot])
            truth += cosine_map(query[name][0], pixels) / 4
    torch.testing.assert_close(torch.from_numpy(energy["cosine"][8]), truth.float())
    assert {stride: found.shape[0] for stride, found in energy["prototype"].items()} == SIDES


def test_empty_mask_gives_no_cosine_and_a_zero_prototype() -> None:
    model = model_of()
    state = model.support_state(photos(3), torch.zeros(1, 65, 65), dtype=None)
    assert all(not value.any() for value in state.prototypes.values())
    assert all(len(value) == 0 for value in state.pixels.values())
    query = model.features(photos(7))
    assert all(not level.any() for level in model.energy(query, state)["cosine"].values())
    assert model(query, state).logits.isfinite().all()


@pytest.mark.parametrize("wide", [2, 1000])
@pytest.mark.parametrize("similarity", get_args(Similarity))
def test_the_rewrites_for_inference_change_nothing(
    similarity: Similarity, wide: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With convolutions in Winograd's form where they are that wide, and nowhere."""
    monkeypatch.setattr(inference, "_WIDE", wide)
    monkeypatch.setattr(winograd, "_FEW", 0)
    model, masks = model_of(similarity), boxes(4)
    query, support = model.features(photos(7, 8)), model.features(photos(0, 1, 2, 3))
    state = model.support_state(support, masks, dtype=None)
    before = {name: value.clone() for name, value in model.learned().items()}
    with torch.no_grad():
        truth, found = model(query, state, (33, 47)).logits, fused(model)(query, state, (33, 47))
    torch.testing.assert_close(found.logits, truth, rtol=0, atol=1e-10)
    parts = [type(part) for part in fused(model).modules()]
    assert nn.BatchNorm2d not in parts
    assert (WinogradConvolution in parts) == (wide == 2)
    for name, value in model.learned().items():
        assert torch.equal(value, before[name])
