from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from handful.errors import InputError
from handful.methods.masks.states import pack_states, unpack_states
from handful.methods.mshnet import LIGHT, MSHNet
from handful.methods.mshnet.segmentation import MSHNetSegmentation
from handful.segment import Segmenter


@pytest.fixture(scope="module")
def mshnet() -> MSHNetSegmentation:
    torch.manual_seed(0)
    return MSHNetSegmentation(MSHNet("handful-base", widths=LIGHT).eval(), "mshnet-light")


def test_states_of_mshnet_survive_a_file(mshnet: MSHNetSegmentation, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (64, 96, 3)).astype(np.uint8) for _ in range(3)]
    features = mshnet.encode(photos)
    masks = [np.zeros((64, 96), np.uint8) for _ in range(2)]
    masks[0][10:40, 10:50], masks[1][30:60, 50:90] = 1, 1
    states = [mshnet.condition(features[:2], masks), mshnet.condition(features[:1], masks[:1])]
    kind, tensors = pack_states(states)
    save_file(tensors, tmp_path / "s.safetensors")
    again = unpack_states(kind, load_file(tmp_path / "s.safetensors"), 2)
    assert again[0].counts == states[0].counts
    before, after = mshnet.answer(features[2], states), mshnet.answer(features[2], again)
    assert torch.equal(before.masks, after.masks)
    with pytest.raises(InputError, match="no class"):
        unpack_states(kind, tensors, 1)
    with pytest.raises(InputError, match="gaps"):
        unpack_states(kind, tensors, 3)
    with pytest.raises(InputError, match="'Nothing'"):
        unpack_states("Nothing", tensors, 2)


def test_the_verb_takes_mshnet_and_keeps_what_it_learned(
    mshnet: MSHNetSegmentation, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    photo = rng.integers(0, 256, (80, 80, 3)).astype(np.uint8)
    mask = np.zeros((80, 80), bool)
    mask[20:60, 20:60] = True
    segmenter = Segmenter(mshnet, reject=None).fit([photo], [mask])
    segmenter.save(tmp_path)
    again = Segmenter.load(tmp_path, model=mshnet)
    one, other = segmenter.predict(photo[::-1])[0], again.predict(photo[::-1])[0]
    assert one.score == other.score
    assert one.area == other.area
