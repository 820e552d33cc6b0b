from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from handful import zoo
from handful.errors import InputError
from handful.methods import segmenters
from handful.methods.baselines.blind_segmentation import BlindSegmentation
from handful.methods.mshnet import LIGHT, MSHNet
from handful.methods.mshnet.segmentation import MSHNetSegmentation
from handful.methods.segmenter import SegmentationMethod, at_size, decide

from .conftest import light_mshnet


def test_a_pixel_is_of_its_surest_class_from_the_cut_on() -> None:
    soft = torch.tensor([[[0.5, 0.49, 0.8, 0.9]], [[0.4, 0.2, 0.8, 0.95]]])
    assert decide(soft)[:, 0].astype(int).tolist() == [[1, 0, 1, 0], [0, 0, 0, 1]]
    with pytest.raises(InputError, match="give"):
        decide(torch.zeros(4, 4))


def test_soft_masks_are_resized_between_the_middles_of_pixels() -> None:
    ramp = torch.tensor([[[0.0, 1.0]]])
    wanted = np.interp((np.arange(8) + 0.5) / 4 - 0.5, [0, 1], [0, 1])
    assert at_size(ramp, (1, 8))[0, 0].tolist() == pytest.approx(wanted)
    same = torch.rand(3, 4, 5)
    assert at_size(same, (4, 5)) is same


def test_baselines_do_not_look() -> None:
    photo = np.zeros((10, 20, 3), np.uint8)
    for name, share in (("whole", 1.0), ("centre", 0.3)):
        method = segmenters.load(name)
        assert isinstance(method, SegmentationMethod)
        (features,) = method.encode([photo])
        state = method.condition([features], [np.ones((10, 20), np.uint8)])
        answer = method.answer(features, [state, state])
        assert answer.masks.shape == (2, 10, 20)
        # 10 // 4 and 20 // 4 are cut from every side: 6 x 10 of 10 x 20 are left
        assert answer.masks.mean().item() == pytest.approx(share)
        assert answer.presence.tolist() == [1, 1]
    assert isinstance(BlindSegmentation(), SegmentationMethod)


def test_names_that_are_no_method_are_one_clear_line() -> None:
    with pytest.raises(InputError, match="no such method of segmentation; there are"):
        segmenters.load("magic:resnet50")
    for name in ("whole:resnet50", "centre"):
        with pytest.raises(InputError, match="it does not look"):
            segmenters.load(name, weights="file.safetensors")


def test_methods_on_a_backbone_are_loaded_by_name(tmp_path: Path) -> None:
    method = segmenters.load("prototypes")
    assert (method.name, method.backbone) == ("prototypes", "handful-base")
    with pytest.raises(InputError, match="learns nothing"):
        segmenters.load("prototypes", weights="w.safetensors")
    with pytest.raises(InputError, match="its weights are not bundled"):
        segmenters.load("mshnet:resnet50")
    light = MSHNet("handful-base", widths=LIGHT)
    path = tmp_path / "weights.safetensors"
    save_file(light.learned(), path)
    loaded = segmenters.load("mshnet-light", weights=path, device="cpu")
    assert isinstance(loaded, SegmentationMethod)
    light.backbone.load()
    wanted = MSHNetSegmentation(light.eval(), "wanted")
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 1
    answers = []
    for one in (loaded, wanted):
        (features,) = one.encode([photo])
        answers.append(one.answer(features, [one.condition([features], [mask])]))
    assert torch.equal(answers[0].masks, answers[1].masks)
    with pytest.raises(InputError, match="weights of another MSHNet"):
        segmenters.load("mshnet-cosine:handful-base", weights=path)


def test_what_was_trained_is_loaded_by_its_folder_or_its_file(tmp_path: Path) -> None:
    light, card = light_mshnet("own-recipe", "cosine")
    zoo.save_entry(tmp_path, card, light.learned())
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 1
    answers = []
    file = tmp_path / "weights.safetensors"
    for one in (segmenters.load(tmp_path), segmenters.load("mshnet", weights=file)):
        (features,) = one.encode([photo])
        answers.append(one.answer(features, [one.condition([features], [mask])]).masks)
    assert torch.equal(*answers)
    assert segmenters.load(str(tmp_path)).name == "own-recipe"
    zoo.save_entry(tmp_path, card.model_copy(update={"task": "recognize"}), light.learned())
    with pytest.raises(InputError, match="is a model to recognize, not to segment"):
        segmenters.load(tmp_path)
    other = card.model_copy(update={"input": card.input | {"backbone_sha256": 64 * "0"}})
    zoo.save_entry(tmp_path, other, light.learned())
    with pytest.raises(InputError, match="trained on weights with SHA-256 0000"):
        segmenters.load(tmp_path)
