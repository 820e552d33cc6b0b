"""Erasing: areas, shifts and scores, against numpy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handful.methods.erasing import erase, measure_falls, shifts, top_mask


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_the_mask_holds_the_largest_values_of_its_share(share: float) -> None:
    maps = torch.rand(3, 10, 12, generator=torch.Generator().manual_seed(0))
    mask = top_mask(maps, (10, 12), share).numpy()
    assert mask.sum((1, 2)).tolist() == [round(share * 120)] * 3
    for one, values in zip(mask, maps.numpy(), strict=True):
        assert values[one].min() > values[~one].max()


def test_what_is_zero_is_never_marked() -> None:
    maps = torch.zeros(2, 4, 4)
    maps[0, 1, 2] = 1
    assert top_mask(maps, (4, 4), 0.5).sum((1, 2)).tolist() == [1, 0]


def test_shifts_keep_the_shape_and_go_everywhere() -> None:
    mask = torch.zeros(1, 5, 7, dtype=torch.bool)
    mask[0, 0, 0] = mask[0, 0, 1] = mask[0, 1, 0] = True
    found = shifts(mask, 400, torch.Generator().manual_seed(0))[0].numpy()
    whole = mask[0].numpy()
    rolled = {
        np.roll(whole, (down, across), (0, 1)).tobytes() for down in range(5) for across in range(7)
    }
    assert {one.tobytes() for one in found} == rolled


def test_shifts_are_those_of_the_seed() -> None:
    masks = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(0)) > 0.5
    one, same, other = (shifts(masks, 3, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_photos_take_their_mean_colour_and_ink_turns_to_paper() -> None:
    photo = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, :2] = True
    found = erase(photo, mask)
    torch.testing.assert_close(found[0, :, 0, 0], photo[0].flatten(1).mean(1))
    assert torch.equal(found[0, :, 2:], photo[0, :, 2:])
    assert erase(photo[:, :1], mask)[0, 0, :2].sum() == 0


def test_falls_of_a_score_that_is_known() -> None:
    # the score is the ink of the picture: erasing the stroke costs all, elsewhere what it meets
    images = torch.zeros(2, 1, 4, 4)
    images[0, 0, 0], images[1, 0, :, 3] = 1, 2
    masks = images[:, 0] > 0
    chance = torch.Generator().manual_seed(3)
    falls = measure_falls(lambda x: x.sum((1, 2, 3)), images, masks, chance, draws=6)
    assert falls.before.tolist() == falls.fall.tolist() == [4, 8]
    drawn = shifts(masks, 6, torch.Generator().manual_seed(3))
    met = (drawn & masks[:, None]).sum((2, 3)) * torch.tensor([[1.0], [2.0]])
    torch.testing.assert_close(falls.random_fall, met.mean(1))
