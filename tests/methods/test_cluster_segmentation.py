from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from handful.backbones.handful_base import HandfulBase
from handful.errors import InputError
from handful.methods.cluster_segmentation import (
    Clusters,
    ClusterSegmentation,
    clouds,
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
    assert answer.presence[0] > 0.8


def test_what_every_picture_has_says_nothing(method: ClusterSegmentation) -> None:
    found, mask = photo(2)
    moved = {layer: value + 0 for layer, value in found.items()}
    state = method.condition([found], [mask])
    shift = {layer: 7 * torch.ones_like(common) for layer, common in method.common.items()}
    moved = {layer: value + shift[layer] for layer, value in found.items()}
    other = ClusterSegmentation(method.network, "clusters", method.layers)
    other.common = {layer: value + shift[layer] for layer, value in method.common.items()}
    again = other.condition([moved], [mask])
    assert torch.allclose(state.foreground, again.foreground, atol=1e-4)
    assert torch.allclose(state.background, again.background, atol=1e-4)


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
    with pytest.raises(InputError, match="no mask shows"):
        method.condition([found], [np.zeros_like(mask)])
    with pytest.raises(InputError, match="1 masks for 2"):
        method.condition([found, found], [mask])


def test_pictures_of_nothing_fall_off_as_photos_do() -> None:
    noise = clouds(2, 64)
    assert torch.equal(noise, clouds(2, 64))
    power = torch.fft.fft2(noise.double()).abs().square().mean((0, 1))
    # amplitude 1 / f^1.5: the power falls by 2^3 from one octave to the next
    low, high = power[0, 4:8].mean(), power[0, 8:16].mean()
    assert 3 < float(low / high) < 22
