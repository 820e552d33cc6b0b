"""Koch's score against its equation in float64, pair by pair, and the matcher on top."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from handful.images import ink
from handful.methods import Calibration, class_scores
from handful.methods.koch_siamese import KochMatcher, KochSiamese


@pytest.fixture(scope="module")
def network() -> KochSiamese:
    torch.manual_seed(0)
    return KochSiamese("slides")


@pytest.fixture(scope="module")
def pages() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = (torch.rand(3, 1, 15, 15, generator=generator) < 0.3).float()
    return nn.functional.interpolate(coarse, size=(105, 105), mode="nearest")


@pytest.fixture(scope="module")
def features(network: KochSiamese, pages: Tensor) -> Tensor:
    with torch.no_grad():
        return network.tower(pages)


@pytest.mark.parametrize(("bias", "count"), [(True, 38_951_745), (False, 38_951_744)])
def test_parameters(bias: bool, count: int) -> None:
    with torch.device("meta"):
        network = KochSiamese(bias=bias)
    assert sum(p.numel() for p in network.parameters()) == count


def test_score_is_the_equation(network: KochSiamese, pages: Tensor, features: Tensor) -> None:
    first, second = [0, 0, 1], [1, 2, 2]
    with torch.no_grad():
        found = network(pages[first], pages[second])
    h, alpha = features.double().numpy(), network.alpha.detach().double().numpy()
    assert network.beta is not None
    expected = [
        np.sum(alpha * np.abs(h[a] - h[b])) + float(network.beta.detach())
        for a, b in zip(first, second, strict=True)
    ]
    assert np.ptp(expected) > 1e-4
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)


def test_twins_share_their_weights(network: KochSiamese, pages: Tensor) -> None:
    with torch.no_grad():
        there = network(pages[:2], pages[1:])
        back = network(pages[1:], pages[:2])
        alike = network(pages[:1], pages[:1])
    torch.testing.assert_close(there, back, rtol=0, atol=1e-6)
    assert network.beta is not None
    torch.testing.assert_close(alike, network.beta.detach())


def test_all_pairs_are_forward_pair_by_pair(
    network: KochSiamese, pages: Tensor, features: Tensor
) -> None:
    with torch.no_grad():
        every = network.all_pairs(features, features)
        for q in range(3):
            one_by_one = network(pages[[q]].expand(3, -1, -1, -1), pages)
            torch.testing.assert_close(every[q], one_by_one, rtol=0, atol=1e-6)


def test_gradients_of_all_pairs_are_those_of_the_plain_form(network: KochSiamese) -> None:
    torch.manual_seed(3)
    query, support = torch.rand(4, 4096), torch.rand(3, 4096)
    upstream = torch.randn(4, 3)
    head = [network.alpha, network.beta]
    got, plain = [], []
    for kept in (got, plain):
        inputs = [query.clone().requires_grad_(), support.clone().requires_grad_()]
        if kept is got:
            scores = network.all_pairs(*inputs)
        else:
            gaps = (inputs[0][:, None] - inputs[1][None]).abs()
            scores = (gaps * network.alpha).sum(2) + network.beta
        kept += torch.autograd.grad(scores, [*inputs, *head], upstream)
    for mine, other in zip(got, plain, strict=True):
        assert other.abs().max() > 0
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def test_the_equation_without_a_bias_scores_identical_images_one_half() -> None:
    network = _Small(alpha=[-1.0, 2.0], beta=None)
    logits = KochMatcher(network).compare(torch.ones(1, 2), torch.ones(1, 2))
    assert torch.sigmoid(logits).item() == 0.5


class _Small(nn.Module):
    """What the matcher needs of a network, with a tower that is not asked."""

    def __init__(self, alpha: list[float], beta: float | None) -> None:
        super().__init__()
        self.tower = nn.Identity()
        self.alpha = nn.Parameter(torch.tensor(alpha))
        self.beta = None if beta is None else nn.Parameter(torch.tensor([beta]))


def test_the_matcher_takes_the_support_of_the_highest_score() -> None:
    generator = np.random.default_rng(0)
    alpha = generator.normal(size=6)
    matcher = KochMatcher(_Small(alpha.tolist(), 0.7), "koch-paper")
    query, support = generator.random((5, 6)), generator.random((4, 6))
    expected = (np.abs(query[:, None] - support) * alpha).sum(2) + 0.7
    queries, supports = torch.from_numpy(query).float(), torch.from_numpy(support).float()
    np.testing.assert_allclose(matcher.compare(queries, supports), expected, atol=1e-5)
    chosen = class_scores(matcher, queries, supports[:, None]).argmax(1)
    assert chosen.tolist() == expected.argmax(1).tolist()
    assert (matcher.name, matcher.backbone) == ("koch-paper", "koch")


def test_of_several_shots_the_best_pairing_wins() -> None:
    matcher = KochMatcher(_Small([-1.0, -1.0], 0.0))
    query = torch.tensor([[0.0, 0.0]])
    support = torch.tensor(
        [
            [[0.4, 0.4], [0.4, 0.4]],  # the nearest mean
            [[0.1, 0.0], [1.0, 1.0]],  # the nearest shot
            [[0.9, 0.9], [0.9, 0.9]],
        ]
    )
    assert matcher.pool(support) is None
    scores = class_scores(matcher, query, support)
    torch.testing.assert_close(scores, torch.tensor([[-0.8, -0.1, -1.8]]))


def test_encode_reads_the_ink_of_a_picture(network: KochSiamese) -> None:
    page = np.full((60, 50, 3), 240, np.uint8)
    page[10:40, 20:24] = 15
    calibration = Calibration(1.0, 0.0, 1.0, 0.5, 0.5)
    whole = KochMatcher(network, calibration=calibration)
    cut = KochMatcher(network, margin=0.25)
    assert whole.calibration == calibration
    for matcher, margin in ((whole, None), (cut, 0.25)):
        with torch.no_grad():
            expected = network.tower(torch.from_numpy(ink(page, 105, margin))[None, None])
        torch.testing.assert_close(matcher.encode([page]), expected)
    assert not torch.equal(whole.encode([page]), cut.encode([page]))
