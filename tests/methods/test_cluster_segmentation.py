from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.nn.functional import normalize

from handful.backbones.handful_base import HandfulBase
from handful.errors import InputError
from handful.methods.cluster_segmentation import (
    Clusters,
    ClusterSegmentation,
    load,
    spherical_means,
)
from handful.methods.segmenter import Features, SegmentationMethod


@pytest.fixture(scope="module")
def method() -> ClusterSegmentation:
    return ClusterSegmentation(HandfulBase().load(), "clusters", ("stride32", "stride16"))


def photo(seed: int) -> tuple[Features, NDArray[np.uint8]]:
    """Maps of 12 x 10 and 6 x 5 cells, and a mask whose two halves are two directions."""
    made = torch.Generator().manual_seed(seed)
    mask = np.zeros((12, 10), np.uint8)
    mask[2:10, 2:8] = 1
    fine = torch.randn(96, 12, 10, generator=made)
    fine[0, 2:10, 2:5] += 40
    fine[1, 2:10, 5:8] += 40
    fine[2][torch.from_numpy(mask == 0)] += 40
    return {"stride16": fine, "stride32": torch.randn(320, 6, 5, generator=made)}, mask


def test_clusters_are_those_of_an_exhaustive_search() -> None:
    made = torch.Generator().manual_seed(0)
    cells = normalize(torch.randn(9, 3, generator=made), dim=1)
    weights = torch.rand(9, generator=made) + 0.1

    def quality(centres: torch.Tensor) -> float:
        return float(weights @ (cells @ centres.mT).amax(1))

    best = 0.0
    for code in range(2**8):
        side = torch.tensor([code >> n & 1 for n in range(9)], dtype=torch.bool)
        halves = [(weights[part] @ cells[part]) for part in (side, ~side)]
        best = max(best, sum(float(half.norm()) for half in halves))
    found = quality(spherical_means(cells, weights, 2))
    assert 0.97 * best <= found <= best + 1e-5
    assert quality(spherical_means(cells, weights, 9)) == pytest.approx(float(weights.sum()))
    assert len(spherical_means(cells, weights, 20)) == 9
    assert spherical_means(cells[:0], weights[:0], 3).shape == (0, 3)


def test_an_object_of_two_parts_is_found_whole(method: ClusterSegmentation) -> None:
    assert isinstance(method, SegmentationMethod)
    found, mask = photo(0)
    state = method.condition([found], [mask])
    query, truth = photo(1)
    answer = method.answer(query, [state])
    assert np.array_equal(answer.masks[0].numpy() >= 0.5, truth == 1)
    without = {layer: torch.randn(value.shape) for layer, value in query.items()}
    without["stride16"][2] += 40
    absent = method.answer(without, [state])
    assert not (absent.masks >= 0.5).any()
    assert answer.presence[0] > 0.6 > 0.2 > absent.presence[0]


def test_what_every_picture_has_says_nothing(method: ClusterSegmentation) -> None:
    """With the whole mean taken away, a constant that is added to all cells changes nothing."""
    centred = ClusterSegmentation(method.network, "clusters", method.layers, common=1.0)
    (found, mask), (query, _) = photo(2), photo(3)
    answers = []
    for constant in (0.0, 30.0):
        moved, asked = (
            {layer: value + constant for layer, value in maps.items()} for maps in (found, query)
        )
        state = centred.condition([moved], [mask])
        answers.append(centred.answer(asked, [state]))
    assert torch.allclose(answers[0].masks, answers[1].masks, atol=1e-3)
    assert answers[0].presence[0] == pytest.approx(answers[1].presence[0].item(), abs=1e-3)


def test_margins_are_those_of_a_plain_reference(method: ClusterSegmentation) -> None:
    """One cell a cluster: cosines, maxima, shared means, the query's own cells, in float64."""
    found, _ = photo(6)
    mask = np.zeros((12, 10), np.uint8)
    mask[3, 4:6] = 1
    ground = [(0, 0), (7, 7), (11, 2)]
    mask[mask == 0] = 255
    for place in ground:
        mask[place] = 0
    state = method.condition([found], [mask])
    query = {layer: 0.7 * maps + 0.3 * photo(7)[0][layer] for layer, maps in found.items()}
    answer = method.answer(query, [state])

    def wide(maps: Features) -> list[torch.Tensor]:
        coarse = torch.nn.functional.interpolate(maps["stride32"][None], (12, 10), mode="bilinear")
        return [maps["stride16"].double(), coarse[0].double()]

    def cells(maps: Features) -> NDArray[np.float64]:
        rows = [
            (part - 0.5 * own[:, mask != 255].mean(1)[:, None, None]).flatten(1).T.numpy()
            for part, own in zip(wide(maps), wide(found), strict=True)
        ]
        units = [row / np.linalg.norm(row, axis=1, keepdims=True) for row in rows]
        return np.concatenate(units, 1) / 2**0.5

    support, asked = cells(found), cells(query)

    def sides(of: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        near = (of @ support[[34, 35]].T).max(1)
        far = (of @ support[[y * 10 + x for y, x in ground]].T).max(1)
        weights = np.exp(10 * of @ of.T)
        return near, far, weights / weights.sum(1, keepdims=True)

    near, far, weights = sides(asked)
    first = weights @ (near - far)
    own_near, own_far, own_weights = sides(support)
    surest = [np.sort(m)[-2:].mean() for m in (first, own_weights @ (own_near - own_far))]
    expected = np.clip(surest[0] / surest[1], 0, 1)
    assert 0.1 < expected < 0.99
    assert answer.presence[0].item() == pytest.approx(expected, abs=1e-3)
    own_ground = asked[np.argsort(first)[:36]].mean(0)
    unlike = asked @ own_ground / np.linalg.norm(own_ground)
    margin = weights @ (near - np.maximum(far, 0.5 * unlike))
    like = weights @ (asked @ asked[np.argsort(margin)[-6:]].mean(0))
    margin += 0.3 * (like - like.mean())
    soft = answer.masks[0].double().numpy().ravel()
    assert np.allclose(soft, 1 / (1 + np.exp(-10 * margin)), atol=1e-4)


def test_a_single_cell_is_an_answer_too(method: ClusterSegmentation) -> None:
    found, mask = photo(3)
    state = method.condition([found], [mask])
    one = {layer: maps[:, :1, :1] for layer, maps in found.items()}
    masks = method.answer(one, [state]).masks
    assert masks.shape == (1, 1, 1)
    assert masks.isfinite().all()


def test_void_is_not_counted_and_classes_do_not_mix(method: ClusterSegmentation) -> None:
    found, mask = photo(3)
    void = mask.copy()
    void[:, 8:] = 255
    cut = {name: value.clone() for name, value in found.items()}
    cut["stride16"][:, :, 8:] = 100.0
    state, same = method.condition([found], [void]), method.condition([cut], [void])
    assert torch.allclose(state.background, same.background, atol=1e-5)
    other = method.condition([found], [1 - mask])
    both, alone = method.answer(found, [state, other]), method.answer(found, [other])
    assert torch.allclose(both.masks[1], alone.masks[0])
    assert both.presence[1] == alone.presence[0]


def test_its_state_is_kept_whole(method: ClusterSegmentation) -> None:
    found, mask = photo(4)
    state = method.condition([found], [mask])
    again = Clusters.from_tensors(state.tensors())
    before, after = method.answer(found, [state]), method.answer(found, [again])
    assert torch.equal(before.masks, after.masks)
    assert torch.equal(before.presence, after.presence)
    with pytest.raises(InputError, match="without 'background'"):
        Clusters.from_tensors({"foreground": state.foreground})


def test_one_cell_or_no_surroundings_are_enough_and_no_object_is_refused(
    method: ClusterSegmentation,
) -> None:
    found, mask = photo(5)
    one = np.zeros_like(mask)
    one[4, 4] = 1
    state = method.condition([found], [one])
    assert method.answer(found, [state]).masks[0].argmax() == 4 * 10 + 4
    whole = method.condition([found], [np.ones_like(mask)])
    assert torch.isfinite(method.answer(found, [whole]).masks).all()
    smaller = {layer: value[:, :3, :5] for layer, value in found.items()}
    of_two_sizes = method.condition([found, smaller], [mask, mask[:3, :5]])
    assert torch.isfinite(method.answer(smaller, [of_two_sizes]).masks).all()
    with pytest.raises(InputError, match="no mask shows"):
        method.condition([found], [np.zeros_like(mask)])
    with pytest.raises(InputError, match="1 masks for 2"):
        method.condition([found, found], [mask])


def test_any_network_by_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224")
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    method = load("clusters:timm:vit_tiny_patch16_224", "cpu", tmp_path / "w.safetensors")
    assert method.layers == ("stride16",)
    picture = np.random.default_rng(0).integers(0, 256, (81, 67, 3)).astype(np.uint8)
    mask = np.zeros((81, 67), np.uint8)
    mask[:40] = 1
    features = method.encode([picture])
    answer = method.answer(features[0], [method.condition(features, [mask])])
    assert answer.masks.shape == (1, 5, 4)
    assert load("clusters", "cpu").layers == ("stride16", "stride32")
    with pytest.raises(InputError, match="has no map"):
        ClusterSegmentation(method.network, "clusters", ["stride32"])
