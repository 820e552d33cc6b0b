from __future__ import annotations

import pytest
import torch

from handful.backbones import build
from handful.errors import InputError
from handful.methods.oslsm import OSLSM, begin_aligned


@pytest.fixture
def model() -> OSLSM:
    torch.manual_seed(0)
    return OSLSM(build("random:resnet18"), ["stride16", "stride32"], 128, 512)


def test_a_pixel_goes_to_the_support_that_it_is_like(model: OSLSM) -> None:
    generator = torch.Generator().manual_seed(1)
    supports = torch.rand(6, 512, generator=generator)
    cells = supports[torch.arange(16) % 6] + 0.2 * torch.rand(16, 512, generator=generator)
    coarse = cells.T.reshape(1, 512, 4, 4).expand(6, -1, -1, -1)
    fine = torch.zeros(6, 256, 4, 4)  # only the map of the embedding speaks
    maps = {"stride16": fine, "stride32": coarse}
    before = model.dense.state_dict()["first.stride16.weight"].clone()
    begin_aligned(model, supports, maps)
    with torch.no_grad():
        state = model.conditioning(supports)
        dense = model.dense(maps)[0]
        logits = torch.einsum("kd,dhw->khw", state.weight, dense) + state.bias[:, None, None]
    assert logits.flatten(1).argmax(0).tolist() == (torch.arange(16) % 6).tolist()
    assert float(logits.std()) == pytest.approx(1, rel=1e-3)
    after = model.dense.state_dict()["first.stride16.weight"]
    torch.testing.assert_close(after, 0.1 * before)


def test_weights_meet_features_as_projections_do(model: OSLSM) -> None:
    generator = torch.Generator().manual_seed(2)
    supports, maps = torch.rand(5, 512, generator=generator), torch.rand(5, 512, 3, 3)
    begin_aligned(model, supports, {"stride16": torch.zeros(5, 256, 3, 3), "stride32": maps})
    # without the ReLU: every input counts as often as it is copied
    state = model.conditioning.double()(supports.double())
    middle, ground = supports.double().mean(0), maps.double().mean((0, 2, 3))
    x = maps[0, :, 1, 1].double() - ground
    copied = model.dense.double().state_dict()["first.stride32.weight"][:, :, 0, 0]
    axes = model.conditioning.classify.weight
    counts = torch.bincount(model.conditioning.hashing.kappa[:-1], minlength=128)
    expected = ((supports.double() - middle) @ axes.T * counts) @ (axes @ x)
    torch.testing.assert_close(state.weight @ (copied @ x), expected, rtol=1e-4, atol=1e-6)


def test_a_network_whose_embedding_is_no_mean_is_refused() -> None:
    model = OSLSM("handful-base", ["stride32"], 16, 64)
    with pytest.raises(InputError, match="no mean of stride32"):
        begin_aligned(model, torch.zeros(2, 512), {"stride32": torch.zeros(2, 320, 2, 2)})
