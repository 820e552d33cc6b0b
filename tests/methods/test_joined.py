"""Several methods as one: what it says against its parts, and that it is kept and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import interpolate

from handful import zoo
from handful.errors import InputError
from handful.methods import segmenters
from handful.methods.joined import Joined
from handful.methods.masks.states import pack_states, unpack_states
from handful.methods.segmenter import SegmentationMethod
from handful.segment import Segmenter

from .conftest import light_mshnet

NAME = "mshnet-light+clusters+prototypes"


@pytest.fixture(scope="module")
def method() -> SegmentationMethod:
    return segmenters.load(NAME, device="cpu")


def pictures() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return two discs on noise with their masks, and a third without."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :128]
    photos, masks = [], []
    for place in ((40, 40), (50, 80), (30, 60)):
        disc = (y - place[0]) ** 2 + (x - place[1]) ** 2 < 24**2
        photo = rng.integers(60, 140, (96, 128, 3)).astype(np.uint8)
        photo[disc] = (230, 120, 20)
        photos.append(photo)
        masks.append(disc.astype(np.uint8))
    return photos, masks


def test_it_says_what_its_parts_say_by_their_logits(method: SegmentationMethod) -> None:
    photos, masks = pictures()
    features = method.encode(photos)
    states = [method.condition(features[:n], masks[:n]) for n in (1, 2)]
    found = method.answer(features[2], states)
    total, sure = torch.zeros(1), torch.zeros(1)
    for weight, name in zip((0.5, 0.25, 0.25), NAME.split("+"), strict=True):
        part = segmenters.load(name, device="cpu")
        alone = part.encode(photos)
        answer = part.answer(alone[2], [part.condition(alone[:n], masks[:n]) for n in (1, 2)])
        grid = tuple(found.masks.shape[1:])
        soft = interpolate(answer.masks[None], grid, mode="bilinear", align_corners=True)[0]
        total = total + weight * soft.double().clamp(1e-4, 1 - 1e-4).logit()
        sure = sure + weight * answer.presence.double().clamp(1e-4, 1 - 1e-4).logit()
    assert found.masks.shape[1:] == (24, 32)  # the finest grid, MSHNet's
    torch.testing.assert_close(found.masks.double(), total.sigmoid(), rtol=0, atol=2e-3)
    torch.testing.assert_close(found.presence.double(), sure.sigmoid(), rtol=0, atol=2e-3)


def test_its_states_survive_a_file(method: SegmentationMethod, tmp_path: Path) -> None:
    photos, masks = pictures()
    features = method.encode(photos)
    states = [method.condition(features[:n], masks[:n]) for n in (1, 2)]
    kind, tensors = pack_states(states)
    save_file(tensors, tmp_path / "s.safetensors")
    again = unpack_states(kind, load_file(tmp_path / "s.safetensors"), 2)
    before, after = method.answer(features[2], states), method.answer(features[2], again)
    assert torch.equal(before.masks, after.masks)
    assert torch.equal(before.presence, after.presence)


def test_a_fitted_segmenter_remembers_all_of_its_parts(tmp_path: Path) -> None:
    """Also where one is a folder of one's own, with a plus in its path."""
    light, card = light_mshnet("own", "both")
    run = tmp_path / "own"
    run.mkdir()
    zoo.save_entry(run, card, light.learned())
    photos, masks = pictures()
    fitted = Segmenter(f"{run}+clusters", device="cpu").fit(photos[:1], [masks[0] > 0])
    assert fitted.method_.name == "own+clusters"
    assert fitted.method_.backbone == "handful-base"
    fitted.save(tmp_path / "saved")
    again = Segmenter.load(tmp_path / "saved", device="cpu")
    one, other = fitted.predict(photos[2])[0], again.predict(photos[2])[0]
    assert (one.score, one.area) == (other.score, other.area)
    plus = tmp_path / "a+b"
    plus.mkdir()
    zoo.save_entry(plus, card, light.learned())
    assert segmenters.load(plus, device="cpu").name == "own"
    assert segmenters.rooted(plus) == str(plus.resolve())


def test_names_and_weights_are_told_apart() -> None:
    assert segmenters.takes_backbone("mshnet-light+clusters")
    assert not segmenters.takes_backbone("mshnet-light+centre")
    mixed = segmenters.load("clusters+centre", device="cpu")
    assert isinstance(mixed, Joined)
    assert mixed.backbone == "handful-base+none"
    with pytest.raises(InputError, match="name the folders"):
        segmenters.load("mshnet-light+clusters", weights="w.safetensors")
    with pytest.raises(InputError, match="nothing: no such method"):
        segmenters.load("clusters+nothing")
