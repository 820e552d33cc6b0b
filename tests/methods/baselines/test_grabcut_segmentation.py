"""Seeds without similarity: OpenCV's own rectangle, and a classifier's logits by autograd."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression

from handful.backbones import build
from handful.backbones.handful_base import HandfulBase
from handful.methods.baselines.grabcut_segmentation import (
    SHARE,
    CentreGrabCut,
    GradCAMSegmentation,
)
from handful.methods.segmenter import SegmentationMethod
from handful.methods.weak_segmentation import WeakSegmentation


@cache
def network() -> HandfulBase:
    return HandfulBase().load()


def picture(seed: int, side: int = 96) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    photo = rng.normal(110, 25, (side, side, 3))
    photo[30:70, 35:80] = rng.normal(rng.integers(30, 220, 3), 20, (40, 45, 3))
    return photo.clip(0, 255).astype(np.uint8)


def test_the_centre_is_cut_as_by_a_persons_rectangle() -> None:
    method = CentreGrabCut()
    assert isinstance(method, SegmentationMethod)
    photo = picture(0, 100)
    photo[30:70, 35:80] //= 4
    answer = method.answer(method.encode([photo])[0], [None, None])
    margin = round(100 * (1 - SHARE) / 2)
    box = (margin, margin, 100 - 2 * margin, 100 - 2 * margin)
    found, sides = np.zeros((100, 100), np.uint8), (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(photo[..., ::-1])
    cv2.grabCut(bgr, found, box, *sides, 5, cv2.GC_INIT_WITH_RECT)
    truth = np.isin(found, (cv2.GC_FGD, cv2.GC_PR_FGD))
    assert 0 < truth.mean() < SHARE**2
    assert (answer.masks[0].numpy() == truth).mean() > 0.99
    assert torch.equal(answer.masks[0], answer.masks[1])
    assert answer.presence.tolist() == [1, 1]


def test_gradcam_is_the_gradient_of_a_fitted_logit() -> None:
    method = GradCAMSegmentation(network(), "gradcam-grabcut")
    query, *shots = method.encode([picture(seed) for seed in range(7)])
    states = [method.condition(shots[2 * way : 2 * way + 2], []) for way in range(3)]
    vectors = torch.cat([state.vectors for state in states]).double().numpy()
    fitted = LogisticRegression(C=10.0, max_iter=1000).fit(vectors, [0, 0, 1, 1, 2, 2])
    found = method.attention(query, states)
    projection = network().network.projection.weight.detach().double()
    for way in range(3):
        maps = query["map"].double().requires_grad_()
        logit = torch.from_numpy(fitted.coef_[way]) @ (projection @ maps.mean((1, 2)))
        (gradient,) = torch.autograd.grad(logit, maps)
        truth = torch.relu((gradient.mean((1, 2))[:, None, None] * maps.detach()).sum(0))
        torch.testing.assert_close(
            found[way].double(), truth, rtol=1e-3, atol=1e-3 * float(truth.max())
        )
    # another support is fitted anew
    assert not torch.allclose(method.attention(query, states[:2])[0], found[0])


def test_of_one_class_or_one_shot_it_shows_what_the_similarity_shows() -> None:
    """The formula is the same one, up to a factor."""
    gradcam = GradCAMSegmentation(network(), "gradcam-grabcut")
    score = WeakSegmentation(network(), "attention-score", weights="score")
    query, one, two = gradcam.encode([picture(seed) for seed in range(3)])
    states = [gradcam.condition([shot], []) for shot in (one, two)]
    for given in (states[:1], states):
        first, second = gradcam.attention(query, given), score.attention(query, given)
        first, second = (m / m.amax((1, 2), keepdim=True).clamp_min(1e-12) for m in (first, second))
        assert second.max() == 1
        torch.testing.assert_close(first, second, rtol=0, atol=2e-3)


def test_the_networks_own_classifier_marks_what_it_sees(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = torchvision.models.resnet18(weights=None).eval()
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    backbone = build("torchvision:resnet18").load(tmp_path / "weights.safetensors")
    method = GradCAMSegmentation(backbone, "gradcam-grabcut:resnet18")
    query, *shots = method.encode([picture(seed) for seed in range(3)])
    states = [method.condition([shot], []) for shot in shots]
    maps = query["map"].float().requires_grad_()
    logits = whole.fc(maps.mean((1, 2)))
    (gradient,) = torch.autograd.grad(logits.max(), maps)
    truth = torch.relu((gradient.mean((1, 2))[:, None, None] * maps.detach()).sum(0))
    found = method.attention(query, states)
    assert truth.max() > 0
    torch.testing.assert_close(found[0], truth, rtol=1e-4, atol=1e-4 * float(truth.max()))
    assert torch.equal(found[0], found[1])
