"""MSHNet's published size, its state, and the light head on the bundled backbone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from handful.backbones.handful_base import HandfulBase
from handful.errors import InputError
from handful.methods.mshnet import LIGHT, MSHNet, Similarity, SupportState, loss

TOTALS: list[tuple[str, Similarity, int]] = [
    ("resnet50", "both", 29_626_952),
    ("resnet50", "cosine", 26_808_776),
    ("resnet50", "prototype", 25_880_392),
    ("resnet101", "both", 29_633_480),
    ("resnet101", "cosine", 26_813_128),
    ("resnet101", "prototype", 25_882_568),
]


def size(*parts: nn.Module | Iterable[nn.Module]) -> int:
    modules = [m for part in parts for m in ([part] if isinstance(part, nn.Module) else part)]
    return sum(value.numel() for m in modules for value in m.parameters())


@pytest.fixture(scope="module")
def resnet() -> MSHNet:
    return MSHNet("resnet50")


@pytest.mark.parametrize(("backbone", "similarity", "total"), TOTALS)
def test_learnable_parameters(backbone: str, similarity: Similarity, total: int) -> None:
    with torch.device("meta"):
        model = MSHNet(backbone, similarity)
    assert sum(value.numel() for value in model.parameters() if value.requires_grad) == total
    assert not any(value.requires_grad for value in model.backbone.parameters())


def test_learnable_parameters_by_part(resnet: MSHNet) -> None:
    head: Any = resnet.head
    assert size(resnet.prototype) == 7_168
    branches = {
        kind: [merge.branches[kind] for merge in head.merges] for kind in ("prototype", "cosine")
    }
    assert size([b.block for b in branches["prototype"]]) == 446_336
    assert size([b.shot for b in branches["prototype"]]) == 2_265_600
    assert size([b.block for b in branches["cosine"]]) == 1_777_408
    assert size([b.shot for b in branches["cosine"]]) == 1_771_776
    assert size(*(part for m in head.merges for part in (m.project, m.mix, m.gate, m.refine))) == (
        3_939_264
    )
    assert size(head.fusions[1]) == 7_344_128
    assert size(head.fusions[0]) == 9_573_376
    assert size(head.decoder) == 1_313_024
    assert size(head.classify, head.inner) == 1_188_872


def test_levels_of_the_two_resnets(resnet: MSHNet) -> None:
    assert [len(level) for level in resnet.levels] == [4, 6, 3]
    with torch.device("meta"):
        assert [len(level) for level in MSHNet("resnet101").levels] == [4, 23, 3]


def test_training_leaves_the_backbone_as_it_is(resnet: MSHNet) -> None:
    resnet.train()
    assert not any(part.training for part in resnet.backbone.modules())
    before = {name: value.clone() for name, value in resnet.backbone.state_dict().items()}
    state = resnet.support_state(torch.rand(2, 3, 64, 64), torch.ones(2, 64, 64))
    output = resnet(torch.rand(2, 3, 64, 64), state)
    assert [tuple(x.shape[2:]) for x in output.inner] == [(8, 8), (4, 4), (2, 2)]
    output.logits.sum().backward()
    for name, value in resnet.backbone.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.fixture(scope="module")
def light() -> MSHNet:
    torch.manual_seed(0)
    model = MSHNet("handful-base", widths=LIGHT).eval()
    model.backbone.load()
    return model


def test_the_light_head_fits_in_four_megabytes(light: MSHNet, tmp_path: Path) -> None:
    tensors = {name: value.half() for name, value in light.learned().items()}
    save_file(tensors, tmp_path / "light.safetensors")
    assert (tmp_path / "light.safetensors").stat().st_size <= 4_000_000
    assert [len(level) for level in light.levels] == [3, 7, 4]
    fresh = MSHNet("handful-base", widths=LIGHT).eval()
    fresh.backbone.load()
    fresh.load_learned(load_file(tmp_path / "light.safetensors"))
    for name, value in light.learned().items():
        if value.dtype == torch.float32:
            torch.testing.assert_close(fresh.learned()[name], value, rtol=1e-3, atol=1e-6)
    with pytest.raises(InputError, match=r"weights of another MSHNet: \d+ tensors differ"):
        MSHNet("handful-base", "cosine", LIGHT).load_learned(tensors)


def test_a_saved_support_answers_bit_for_bit(light: MSHNet, tmp_path: Path) -> None:
    torch.manual_seed(1)
    masks = torch.zeros(2, 96, 96)
    masks[0, 20:60, 30:70] = 1
    state = light.support_state(torch.randn(2, 3, 96, 96), masks)
    assert {value.dtype for value in state.pixels.values()} == {torch.float16}
    save_file(state.tensors(), tmp_path / "state.safetensors")
    again = SupportState.from_tensors(load_file(tmp_path / "state.safetensors"))
    query = light.features(torch.randn(1, 3, 96, 96))
    assert again.shots == 2
    assert again.counts == state.counts
    with torch.no_grad():
        assert torch.equal(light(query, again).logits, light(query, state).logits)


def test_half_precision_features_and_support_change_little(light: MSHNet) -> None:
    torch.manual_seed(2)
    photos, masks = torch.randn(1, 3, 96, 96), torch.zeros(1, 96, 96)
    masks[0, 20:60, 30:70] = 1
    maps = light.features(photos)
    halves = {name: value.half() for name, value in maps.items()}
    exact, kept = light.support_state(maps, masks, None), light.support_state(halves, masks)
    with torch.no_grad():
        truth, found = light(maps, exact).logits, light(halves, kept).logits
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, truth, rtol=0, atol=5e-3)


def test_mixed_precision_leaves_the_similarities_their_digits(light: MSHNet) -> None:
    photo = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = {name: found.half() for name, found in light.features(photo).items()}
    mask = torch.zeros(1, 64, 64)
    mask[:, 16:48, 16:48] = 1
    groups = [(0, [light.support_state(maps, mask)])]
    wanted = light.similarities(maps, groups)
    with torch.autocast("cpu", torch.bfloat16):
        found = light.similarities(maps, groups)
        learnt = light(maps, groups[0][1]).masks
    for one, other in zip(found, wanted, strict=True):
        assert all(torch.equal(one[kind], other[kind]) for kind in light.kinds)
    assert torch.isfinite(learnt).all()


def test_a_few_steps_learn_an_episode() -> None:
    """With the paper's optimiser, from cached features; the object is bright, all else noise."""
    torch.manual_seed(4)
    model = MSHNet(HandfulBase(frozen=False).load(), widths=LIGHT)
    masks = torch.zeros(4, 96, 96, dtype=torch.int64)
    masks[:2, 10:50, 20:60] = 1
    masks[2:, 40:90, 30:90] = 1
    maps = model.features(torch.randn(4, 3, 96, 96) * 0.3 + 2 * masks[:, None])
    example = {name: value[:1] for name, value in maps.items()}
    query = {name: value[1:] for name, value in maps.items()}
    state = model.support_state(example, masks[:1])
    learned = [value for value in model.parameters() if value.requires_grad]
    optimiser = torch.optim.SGD(learned, 0.01, momentum=0.9, weight_decay=5e-4)
    losses = []
    for _ in range(20):
        found = loss(model.train()(query, state), masks[1:])
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
        losses.append(float(found.detach()))
    assert losses[-1] < 0.6 * losses[0]
    assert not any(part.training for part in model.backbone.modules())
    assert not any(value.requires_grad for value in model.backbone.parameters())


class Largest(TorchDispatchMode):
    """Note the most elements that any operation returns."""

    elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def test_no_map_of_pixels_by_pixels_is_held(light: MSHNet) -> None:
    """At 512 pixels the finest level has 4,096 cells: 16.8 M pairs."""
    maps = light.features(torch.randn(1, 3, 512, 512))
    state = light.support_state(maps, torch.ones(1, 512, 512))
    assert state.counts["block5"] == (4096,)
    with torch.no_grad(), Largest() as largest:
        light.similarities(maps, [(0, [state])])
    assert 2 * 64 * 64 <= largest.elements <= 1 << 18


def test_two_sizes_of_photos_join_in_one_support(light: MSHNet) -> None:
    torch.manual_seed(3)
    states = [
        light.support_state(torch.randn(1, 3, side, side), torch.ones(1, side, side))
        for side in (64, 96)
    ]
    joined = SupportState.join(states)
    assert joined.counts["block5"] == (64, 144)
    with torch.no_grad():
        assert light(torch.randn(1, 3, 96, 64), joined).masks.shape == (1, 96, 64)


def test_wrong_arguments_are_one_line(light: MSHNet) -> None:
    with pytest.raises(InputError, match="similarity 'none': is one of both, cosine, prototype"):
        MSHNet("handful-base", "none")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="interaction 'x'"):
        MSHNet("handful-base", interaction="x")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="2 masks for 1 photos"):
        light.support_state(torch.zeros(1, 3, 64, 64), torch.ones(2, 64, 64))
    with pytest.raises(InputError, match="is no part of a support state"):
        SupportState.from_tensors({"weights": torch.zeros(1)})
