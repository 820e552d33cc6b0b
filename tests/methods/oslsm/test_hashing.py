from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from handful.errors import InputError
from handful.methods.oslsm import WeightHashing


def by_definition(layer: WeightHashing, x: np.ndarray) -> np.ndarray:
    """Equation 1, coefficient by coefficient."""
    kappa, zeta = layer.kappa.tolist(), layer.zeta.tolist()
    return np.array([[row[kappa[i]] * zeta[i] for i in range(layer.out_features)] for row in x])


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (1, 9), (7, 3), (1000, 4097)])
def test_both_forms_are_equation_1(inputs: int, outputs: int) -> None:
    gather, dense = WeightHashing(inputs, outputs, 3), WeightHashing(inputs, outputs, 3, "dense")
    x = torch.randn(5, inputs, generator=torch.Generator().manual_seed(0)) * 1e3
    x[0, 0], x[1, 0], x[2, 0] = torch.finfo(x.dtype).max, torch.finfo(x.dtype).tiny, -0.0
    assert torch.equal(gather(x), dense(x))
    assert torch.equal(gather(x), x @ gather.dense_weight().T)
    np.testing.assert_array_equal(gather(x).numpy(), by_definition(gather, x.numpy()))


def test_the_matrix_is_equation_3() -> None:
    layer = WeightHashing(6, 20, 1)
    weight = layer.dense_weight()
    assert weight.shape == (20, 6)
    for i in range(20):
        for j in range(6):
            assert weight[i, j] == (layer.zeta[i] if j == layer.kappa[i] else 0)


def test_gradients_of_both_forms_agree() -> None:
    gather = WeightHashing(50, 400, 2).double()
    weight = gather.dense_weight()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 50, dtype=torch.float64, generator=generator, requires_grad=True)
    outer = torch.randn(3, 400, dtype=torch.float64, generator=generator)
    mine = torch.autograd.grad((gather(x).sin() * outer).sum(), x)[0]
    twin = torch.autograd.grad(((x @ weight.T).sin() * outer).sum(), x)[0]
    torch.testing.assert_close(mine, twin, rtol=1e-12, atol=1e-12)
    # and by hand: what comes back to an input is the signed sum over its copies
    back = (gather(x).cos() * outer).detach() * gather.zeta
    by_hand = torch.stack([back[:, gather.kappa == j].sum(1) for j in range(50)], 1)
    torch.testing.assert_close(mine, by_hand, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(gather, (x,))


def test_places_and_signs_are_drawn_evenly_and_independently() -> None:
    layer = WeightHashing(10, 100_000, 5)
    copies = torch.bincount(layer.kappa, minlength=10)
    # five deviations of a binomial count
    assert (copies - 10_000).abs().max() < 5 * (100_000 * 0.1 * 0.9) ** 0.5
    for j in range(10):
        signs = layer.zeta[layer.kappa == j]
        assert set(signs.tolist()) == {-1, 1}
        assert signs.sum().abs() < 5 * len(signs) ** 0.5
    following = (layer.kappa[1:] == layer.kappa[:-1]).float().mean()
    assert abs(float(following) - 0.1) < 5 * (0.1 * 0.9 / 100_000) ** 0.5


def test_a_seed_is_one_hashing_whatever_was_drawn_before() -> None:
    torch.manual_seed(1)
    first = WeightHashing(20, 200, 4)
    before = torch.get_rng_state()
    again = WeightHashing(20, 200, 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.kappa, again.kappa)
    assert torch.equal(first.zeta, again.zeta)
    other = WeightHashing(20, 200, 5)
    assert not torch.equal(first.kappa, other.kappa)
    assert not torch.equal(first.zeta, other.zeta)


def test_the_hashing_travels_with_the_weights(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 8), WeightHashing(8, 32, 6))
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    other = nn.Sequential(nn.Linear(4, 8), WeightHashing(8, 32, 7))
    x = torch.randn(2, 4)
    assert not torch.equal(network(x), other(x))
    other.load_state_dict(load_file(tmp_path / "w.safetensors"))
    assert torch.equal(network(x), other(x))


def test_it_has_nothing_to_learn_and_follows_a_type() -> None:
    layer = WeightHashing(8, 32)
    assert not list(layer.parameters())
    half = layer.half()
    assert half.zeta.dtype == torch.float16
    assert half.kappa.dtype == torch.int64
    x = torch.randn(3, 2, 8)
    assert layer(x).dtype == torch.float32
    assert torch.equal(layer(x)[1, 1], layer(x[1, 1]))


@pytest.mark.parametrize("widths", [(0, 5), (5, 0), (5, -1)])
def test_widths_below_one_are_refused(widths: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="widths from 1"):
        WeightHashing(*widths)


def test_an_unknown_form_or_seed_is_refused() -> None:
    with pytest.raises(InputError, match="seed from 0"):
        WeightHashing(2, 2, -1)
    with pytest.raises(InputError, match="gather, dense"):
        WeightHashing(2, 2, 0, "sparse")  # type: ignore[arg-type]
