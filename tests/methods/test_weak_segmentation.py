"""Segmentation without masks: maps by autograd, cuts by OpenCV, all else written out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from handful import zoo
from handful.backbones import FeatureMaps
from handful.backbones.cut import Cut, MeanHead
from handful.backbones.handful_base import HandfulBase
from handful.backbones.tail import Tail
from handful.errors import InputError
from handful.methods import segmenters
from handful.methods.masks.states import pack_states, unpack_states
from handful.methods.segmenter import SegmentationMethod
from handful.methods.weak_segmentation import SIDE, WeakSegmentation, Weights
from handful.segment import Segmenter

CHANNELS, FEATURES = 6, 5


class Tiny(FeatureMaps):
    """One convolution, a mean, a linear layer."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        layers = nn.ModuleList([nn.Conv2d(3, CHANNELS, 8, 8), nn.Linear(CHANNELS, FEATURES)])
        super().__init__("tiny", layers, {"last": 8}, {"last": CHANNELS}, FEATURES)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"last": torch.relu(self.network[0](x))}  # type: ignore[index]

    def embed(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self(x)["last"])
        return found

    @property
    def head(self) -> MeanHead:
        last = self.network[1]  # type: ignore[index]
        return MeanHead(last.weight, last.bias)

    def cut(self) -> Cut:
        return Cut(lambda x: (self(x)["last"], self.embed(x)), self.head)

    def _download(self) -> Path:
        raise NotImplementedError


def tiny(weights: Weights = "difference") -> WeakSegmentation:
    network = Tiny()
    return WeakSegmentation(network, "attention:tiny", network.cut(), weights)


def picture(seed: int, size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    photo = rng.normal(100, 20, (*size, 3))
    photo[10:30, 15:40] += rng.normal(0, 60, 3)
    return photo.clip(0, 255).astype(np.uint8)


def by_autograd(
    method: WeakSegmentation, query: Tensor, pairs: list[tuple[Tensor, Tensor | None]]
) -> Tensor:
    """Return the mean of equation 1's maps, differentiated, in float64."""
    network = method.network
    assert isinstance(network, Tiny)
    head = network.head
    assert head.weight is not None
    assert head.bias is not None
    maps = []
    for positive, negative in pairs:
        found = query.double().requires_grad_()
        vector = head.weight.double() @ found.mean((1, 2)) + head.bias.double()
        unit = vector / vector.norm()
        p, n = (None if v is None else v.double() for v in (positive, negative))
        assert p is not None
        if method.weights == "difference":
            anchor = unit.detach()
            w = 1 - (anchor - p).abs()
            score = (w if n is None else w * (anchor - n).abs()) @ unit
        else:  # the length is no part of what is explained
            score = (p if n is None else p - n) @ vector / vector.norm().detach()
        (gradient,) = torch.autograd.grad(score, found)
        alpha = gradient.mean((1, 2))
        maps.append(torch.einsum("c,chw->hw", alpha, query.double()).relu())
    return torch.stack(maps).mean(0)


@pytest.mark.parametrize("weights", ["difference", "score"])
@pytest.mark.parametrize("ways", [1, 2, 3])
def test_maps_are_those_of_autograd(weights: Weights, ways: int) -> None:
    """One class: Siamese attention; several: the mean over triplets with shots of the others."""
    method = tiny(weights)
    query, *shots = method.encode([picture(seed) for seed in range(2 * ways + 1)])
    states = [method.condition(shots[2 * way : 2 * way + 2], []) for way in range(ways)]
    found = method.attention(query, states)
    assert found.shape == (ways, 8, 6)
    vectors = normalize(torch.stack([shot["vector"] for shot in shots]), dim=1)
    for way in range(ways):
        own = vectors[2 * way : 2 * way + 2]
        others: list[Tensor | None] = [
            vector for place, vector in enumerate(vectors) if place // 2 != way
        ]
        pairs = [(p, n) for p in own for n in (others or [None])]
        truth = by_autograd(method, query["map"].float(), pairs)
        torch.testing.assert_close(found[way].double(), truth, rtol=1e-4, atol=1e-7)
    assert found.max() > 0


def test_of_a_shot_only_what_is_like_the_query_counts() -> None:
    """The embedding of a shot is a mean weighted by its own map, each written out."""
    method = tiny("mutual")
    query, *shots = method.encode([picture(seed) for seed in range(4)])
    states = [method.condition(shots[:2], []), method.condition(shots[2:], [])]
    network = method.network
    assert isinstance(network, Tiny)
    head = network.head
    unit = normalize(query["vector"], dim=0)
    seen = []
    for shot in shots:
        maps = shot["map"].float()
        (heat,) = by_autograd(tiny("score"), maps, [(unit, None)])[None]
        pooled = (maps.double() * heat).sum((1, 2)) / heat.sum()
        vector = head.weight.double() @ pooled + head.bias.double()
        seen.append((vector / vector.norm()).float())
    plain = [normalize(shot["vector"], dim=0) for shot in shots]
    assert min(float(a @ b) for a, b in zip(seen, plain, strict=True)) < 0.999
    found = method.attention(query, states[:1])
    pairs: list[tuple[Tensor, Tensor | None]] = [(vector, None) for vector in seen[:2]]
    truth = by_autograd(tiny("score"), query["map"].float(), pairs)
    torch.testing.assert_close(found[0].double(), truth, rtol=1e-3, atol=1e-6)
    # of several classes: the scores of whole shots
    torch.testing.assert_close(
        method.attention(query, states), tiny("score").attention(query, states)
    )


def test_the_cut_is_opencvs_by_the_thresholds_of_the_method() -> None:
    method = tiny("score")
    query, *shots = method.encode([picture(seed) for seed in (3, 4, 5)])
    states = [method.condition([shot], []) for shot in shots]
    answer = method.answer(query, states)
    assert answer.masks.shape == (2, 64, 48)
    for heat, mask in zip(method.attention(query, states), answer.masks, strict=True):
        wide = cv2.resize(heat.numpy(), (48, 64), interpolation=cv2.INTER_LINEAR)
        share = wide / wide.max()
        hints = np.full(share.shape, cv2.GC_BGD, np.uint8)
        hints[share >= 0.05] = cv2.GC_PR_BGD
        hints[share > 0.3] = cv2.GC_PR_FGD
        hints[share > 0.6] = cv2.GC_FGD
        sides = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        bgr = np.ascontiguousarray(picture(3)[..., ::-1])
        cv2.grabCut(bgr, hints, None, *sides, 5, cv2.GC_INIT_WITH_MASK)
        truth = np.isin(hints, (cv2.GC_FGD, cv2.GC_PR_FGD))
        assert ((mask.numpy() >= 0.5) == truth).mean() > 0.995
        assert 0 < truth.mean() < 1


def test_masks_are_not_looked_at() -> None:
    method = tiny()
    assert isinstance(method, SegmentationMethod)
    assert method.uses_masks is False
    features = method.encode([picture(0), picture(1)])
    states = [
        method.condition(features, masks)
        for masks in ([], [np.ones((64, 48), np.uint8)] * 2, [np.zeros((9, 9), np.uint8)] * 2)
    ]
    assert all(torch.equal(state.vectors, states[0].vectors) for state in states)
    with pytest.raises(InputError, match="one picture of it at least"):
        method.condition([], [])


def test_presence_is_the_likeness_of_whole_pictures() -> None:
    method = tiny()
    query, *shots = method.encode([picture(seed) for seed in range(4)])
    states = [method.condition(shots[:2], []), method.condition(shots[2:], [])]
    vectors = normalize(torch.stack([f["vector"] for f in (query, *shots)]), dim=1).double()
    for way, rows in enumerate(([1, 2], [3])):
        middle = vectors[rows].mean(0)
        truth = float(vectors[0] @ middle / middle.norm())
        assert float(method.presence(query, states)[way]) == pytest.approx(max(truth, 0), abs=1e-5)
    # how sure a class is to be there does not depend on what else is asked for
    assert torch.equal(method.presence(query, states[:1]), method.presence(query, states)[:1])


def test_what_is_kept_of_a_picture() -> None:
    method = tiny()
    small, large = method.encode([picture(0), picture(1, (400, 800))])
    assert small["pixels"].tolist() == picture(0).tolist()
    assert large["pixels"].shape == (SIDE // 2, SIDE, 3)
    assert (large["map"].dtype, large["vector"].dtype) == (torch.float16, torch.float32)
    assert large["map"].shape == (CHANNELS, 50, 100)
    network = method.network
    assert isinstance(network, Tiny)
    again = network.head(large["map"][None].float())[0]
    torch.testing.assert_close(large["vector"], again)


@pytest.mark.parametrize("weights", ["difference", "mutual"])
def test_states_are_kept_to_the_bit(weights: Weights) -> None:
    method = tiny(weights)
    query, *shots = method.encode([picture(seed) for seed in range(3)])
    states = [method.condition([shot], []) for shot in shots]
    kind, tensors = pack_states(states)
    again = unpack_states(kind, tensors, 2)
    first, second = method.answer(query, states), method.answer(query, again)
    assert torch.equal(first.masks, second.masks)
    assert torch.equal(first.presence, second.presence)
    with pytest.raises(InputError, match="fit again"):
        type(states[0]).from_tensors({"other": torch.zeros(1)})


def test_a_map_that_is_zero_everywhere_finds_nothing() -> None:
    method = tiny()
    query = {
        "map": torch.zeros(CHANNELS, 4, 4).half(),
        "vector": torch.ones(FEATURES),
        "pixels": torch.from_numpy(picture(0, (32, 32))),
    }
    answer = method.answer(query, [method.condition([query], [])])
    assert answer.masks.max() < 0.5


def test_a_network_whose_embedding_is_no_mean_of_its_map_is_refused() -> None:
    network = Tiny()
    with pytest.raises(InputError, match="choose another network"):
        WeakSegmentation(network, "attention:tiny", Cut(network.cut().both))


def test_what_metric_learning_trained_takes_the_place_of_the_network(tmp_path: Path) -> None:
    backbone = HandfulBase().load()
    tail = Tail(HandfulBase().load()).eval()
    with torch.no_grad():
        for parameter in tail.parameters():
            parameter.mul_(1 + 0.05 * torch.randn_like(parameter))
    card = zoo.Card(
        name="trained", title="Trained", task="explain", method="prototypes",
        backbone="handful-base", licence="Apache-2.0", commercial_use=True, data="none",
        limits="a test",
        input={"kind": "photos", "size": 64, "tail": 512, "backbone_sha256": backbone.digest},
    )  # fmt: skip
    entry = zoo.save_entry(tmp_path / "run", card, tail.state_dict())
    assert entry.weights is not None
    photo = picture(0, (64, 64))
    plain = segmenters.load("attention", device="cpu").encode([photo])[0]
    for given in (tmp_path / "run", tmp_path / "run" / entry.weights):
        method = segmenters.load("attention-score", given, "cpu")
        (found,) = method.encode([photo])
        pixels = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            maps, vector = tail.cut().both((pixels - 0.498) / 0.5)
        torch.testing.assert_close(found["vector"], vector[0], rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(found["map"].float(), maps[0], rtol=1e-2, atol=1e-2)
        assert not torch.allclose(found["vector"], plain["vector"], rtol=1e-2, atol=1e-2)
    segmenter = Segmenter("attention-score", "cpu", weights=tmp_path / "run", reject=None)
    segmenter.fit(photo, labels="thing").save(tmp_path / "fitted")
    first, second = segmenter.predict(photo), Segmenter.load(tmp_path / "fitted").predict(photo)
    assert first["thing"].score == second["thing"].score
    assert np.array_equal(first["thing"].instances, second["thing"].instances)  # type: ignore[arg-type]
    other = card.model_copy(update={"input": {**card.input, "backbone_sha256": "0" * 64}})
    zoo.save_entry(tmp_path / "other", other, tail.state_dict())
    with pytest.raises(InputError, match="--backbone-weights"):
        segmenters.load("attention", tmp_path / "other", "cpu")
    with pytest.raises(InputError, match="stands on handful-base, not on resnet50"):
        segmenters.load("attention:resnet50", tmp_path / "run", "cpu")
