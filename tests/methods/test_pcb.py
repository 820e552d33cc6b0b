from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from handful.backbones import build
from handful.backbones.features import FeatureMaps
from handful.errors import InputError
from handful.methods.pcb import PCB, Parts, StripesHead, pcb_embedder, pcb_loss, stripes
from handful.methods.prototypes import Prototypes
from handful.methods.similarity_attention import attention, attention_by_autograd


class Tiny(FeatureMaps):
    """Two convolutions: a backbone whose maps are quickly made."""

    def __init__(self, frozen: bool = False) -> None:
        first, second = torch.nn.Conv2d(3, 4, 2, 2), torch.nn.Conv2d(4, 8, 2, 2)
        layers = torch.nn.Sequential(first, second)
        strides, channels = {"first": 2, "second": 4}, {"first": 4, "second": 8}
        super().__init__("tiny", layers, strides, channels, features=0, frozen=frozen)
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        first = self.first(x)
        return {"first": first, "second": self.second(first)}

    def embed(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _download(self) -> None:  # type: ignore[override]
        raise NotImplementedError


def network(**options: object) -> PCB:
    torch.manual_seed(0)
    made = PCB(Tiny(), classes=5, width=3, **options)  # type: ignore[arg-type]
    _, norm, heads = parts_of(made)
    torch.nn.init.normal_(norm["running_mean"])
    torch.nn.init.uniform_(norm["running_var"], 0.5, 2)
    for weight, _ in heads:
        torch.nn.init.normal_(weight)
    return made.eval()


def parts_of(made: PCB) -> tuple[Tensor, dict[str, Tensor], list[tuple[Tensor, Tensor]]]:
    """The reduction's matrix, the state of its norm, and each classifier's matrix and bias."""
    state = made.state_dict()
    place = "head.reduction.1."
    norm = {key.removeprefix(place): v for key, v in state.items() if key.startswith(place)}
    each = [f"head.classifiers.{i}" for i in range(made.head.parts)]
    heads = [(state[f"{name}.weight"], state[f"{name}.bias"]) for name in each]
    return state["head.reduction.0.weight"][:, :, 0, 0], norm, heads


def by_hand(made: PCB, x: Tensor) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """g_i, h_i and the logits of each stripe in float64, stripe by stripe."""
    values = made.backbone(x)[made.tap].detach().double().numpy()
    matrix, norm, heads = parts_of(made)
    weight = matrix.double().numpy()
    mean, var = (norm[key].double().numpy() for key in ("running_mean", "running_var"))
    step = values.shape[2] // made.head.parts
    pooled, reduced, logits = [], [], []
    for i, (matrix, bias) in enumerate(heads):
        g = values[:, :, i * step : (i + 1) * step].mean((2, 3))
        h = np.maximum((g @ weight.T - mean) / np.sqrt(var + 1e-5), 0)
        pooled.append(g)
        reduced.append(h)
        logits.append(h @ matrix.double().numpy().T + bias.double().numpy())
    return pooled, reduced, logits


def test_agrees_with_stripes_by_hand() -> None:
    made, x = network(), torch.randn(4, 3, 96, 32)
    pooled, reduced, logits = by_hand(made, x)
    with torch.no_grad():
        np.testing.assert_allclose(made(x).numpy(), np.stack(logits, 1), rtol=1e-4, atol=1e-5)
        sides: dict[Parts, list[np.ndarray]] = {"pooled": pooled, "reduced": reduced}
        for parts, columns in sides.items():
            whole = np.concatenate(columns, 1)
            whole /= np.linalg.norm(whole, axis=1, keepdims=True)
            found = made.describe(x, parts).numpy()
            np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-6)


def test_a_stripe_sees_its_own_rows_alone() -> None:
    made, x = network(), torch.randn(1, 3, 96, 32)
    changed = x.clone()
    changed[:, :, 32:48] += 1  # rows of the third stripe
    with torch.no_grad():
        before, after = (stripes(made.backbone(y)["second"], 6) for y in (x, changed))
        moved = (before - after).abs().amax((0, 1, 3))
    assert moved[2] > 0.01
    assert moved[[0, 1, 3, 4, 5]].max() < 1e-6


def test_the_loss_is_the_sum_of_the_parts() -> None:
    logits, identity = torch.randn(7, 6, 5), torch.randint(5, (7,))
    expected = sum(cross_entropy(logits[:, i], identity) for i in range(6))
    torch.testing.assert_close(pcb_loss(logits, identity), expected)


def test_training_reaches_the_backbone_and_every_classifier() -> None:
    made = network().train()
    images, identity = torch.randn(10, 3, 48, 16), torch.arange(10) % 5
    optimiser = torch.optim.Adam(made.parameters(), lr=0.03)
    losses = []
    for _ in range(60):
        loss = pcb_loss(made(images), identity)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert all(p.grad is not None for p in made.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3


def test_parts_and_map_are_chosen() -> None:
    made = network(parts=4, tap="first")
    x = torch.randn(2, 3, 32, 16)
    assert made(x).shape == (2, 4, 5)
    assert made.describe(x).shape == (2, 4 * 4)
    assert made.describe(torch.randn(2, 3, 30, 16)).shape == (2, 4 * 4)  # 15 rows in 4 stripes
    with pytest.raises(InputError, match="tiny: has no map 'third'; there are first, second"):
        network(tap="third")
    with pytest.raises(InputError, match="0 parts"):
        network(parts=0)


def test_on_a_backbone_of_the_registry_it_compares_photos() -> None:
    torch.manual_seed(0)
    made = PCB(build("handful-base").load(), classes=3)
    matcher = Prototypes(pcb_embedder(made, (192, 64), parts="reduced"), "pcb")
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 255, (90, 40, 3), np.uint8) for _ in range(2)]
    photos.append(photos[0][:, :, 0])  # a grey one
    features = matcher.encode(photos)
    assert features.shape == (3, 6 * 256)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(3))
    assert matcher.compare(features[:1], features)[0].argmax() == 0
    assert matcher.backbone == "pcb:handful-base"
    # the network is in evaluation mode: a photo alone is as in a batch
    torch.testing.assert_close(matcher.encode(photos[:1]), features[:1], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("rows", "parts"), [(12, 6), (7, 6), (5, 2)])
def test_attention_by_stripes_has_the_closed_form(rows: int, parts: int) -> None:
    maps = torch.randn(3, 4, rows, 3, dtype=torch.float64, requires_grad=True)
    head = StripesHead(parts)
    vectors = head(maps)
    weights = torch.rand(3, 4 * parts, dtype=torch.float64)
    closed = attention(maps.detach(), vectors.detach(), weights, head, "local")
    expected = attention_by_autograd(maps, vectors, weights, "local")
    torch.testing.assert_close(closed, expected, rtol=1e-10, atol=1e-14)
    pooled = [
        attention(maps, vectors, weights, head),
        attention_by_autograd(maps, vectors, weights),
    ]
    torch.testing.assert_close(pooled[0], pooled[1], rtol=1e-10, atol=1e-14)
