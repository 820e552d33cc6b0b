from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from handful.backbones import build
from handful.errors import InputError
from handful.methods.dense_features import check_support
from handful.methods.dense_pixels import (
    SupportPixels,
    cells,
    chosen_layers,
    joined,
    support_pixels,
)


def test_maps_are_chosen_by_their_strides() -> None:
    network = build("handful-base")
    assert chosen_layers(network) == ("stride16", "stride32")
    assert chosen_layers(network, ["stride32", "stride8"]) == ("stride8", "stride32")
    with pytest.raises(InputError, match="has no map layer4; there are stride8"):
        chosen_layers(network, ["layer4"])


def test_joined_maps_are_of_unit_length_before_they_are_resized() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(2, 5, 4, 6), 100 * torch.randn(2, 3, 2, 3)]
    found = joined(maps)
    assert found.shape == (2, 8, 4, 6)
    lengths = found[:, :5].double().square().sum(1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    fine = torch.nn.functional.interpolate(
        maps[1] / maps[1].norm(dim=1, keepdim=True), (4, 6), mode="bilinear"
    )
    torch.testing.assert_close(found[:, 5:], fine)


def by_counting(mask: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Count the pixels of every cell of a mask whose side is a multiple."""
    step = len(mask) // side
    shown, known = np.zeros((2, side, side), bool)
    for y in range(side):
        for x in range(side):
            cell = mask[y * step : (y + 1) * step, x * step : (x + 1) * step]
            clear = (cell != 255).sum()
            known[y, x] = clear >= cell.size / 2
            shown[y, x] = known[y, x] and (cell == 1).sum() >= clear / 2
    return shown, known


@pytest.mark.parametrize("seed", range(5))
def test_cells_are_those_that_counting_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = rng.choice([0, 1, 255], (6, 6), p=[0.4, 0.4, 0.2])
    mask = np.kron(blocks, np.ones((4, 4))).astype(np.uint8)
    shown, known = cells(mask, (4, 4))
    truth = by_counting(mask, 4)
    assert shown.numpy().tolist() == truth[0].tolist()
    assert known.numpy().tolist() == truth[1].tolist()


def test_a_small_object_has_a_cell_though_all_else_is_void() -> None:
    mask = np.full((32, 32), 255, np.uint8)
    mask[9, 9] = 1
    shown, known = cells(mask, (4, 4))
    assert shown.nonzero().tolist() == [[1, 1]]
    assert torch.equal(shown, known)


def test_pixels_of_several_shots_keep_their_places() -> None:
    maps: list[Tensor] = [torch.arange(4.0).view(1, 2, 2), 10 + torch.arange(4.0).view(1, 2, 2)]
    masks = [np.array([[0, 1], [255, 0]], np.uint8), np.array([[1, 0], [0, 1]], np.uint8)]
    found = support_pixels(maps, masks)
    assert found.object.flatten().tolist() == [1, 10, 13]
    assert found.ground.flatten().tolist() == [0, 3, 11, 12]
    every = torch.cat([found.object, found.ground])[found.place.argsort()].flatten()
    assert every.tolist() == [0, 1, 3, 10, 11, 12, 13]
    again = SupportPixels.from_tensors(found.tensors())
    assert torch.equal(again.place, found.place)
    with pytest.raises(InputError, match="other parts"):
        SupportPixels.from_tensors({"object": found.object})


def test_a_support_shows_the_object_and_has_a_mask_each() -> None:
    one = np.ones((2, 2), np.uint8)
    with pytest.raises(InputError, match="1 masks for 2 photos"):
        check_support([{}, {}], [one])
    with pytest.raises(InputError, match="no mask shows the object"):
        check_support([{}], [0 * one])
