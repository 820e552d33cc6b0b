"""Weight hashing: many outputs from few inputs, by copies with random signs and nothing learned.

W. Chen et al., "Compressing neural networks with the hashing trick", 2015, read as decompression in
section 1 of OSLSM's supplement.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from handful.errors import InputError

Form = Literal["gather", "dense"]


class WeightHashing(nn.Module):
    r"""Copy each input to several random places of the output, each copy with a random sign.

    With :math:`x \in R^m` and :math:`\theta \in R^d`, usually :math:`d > m`, the i-th output is

    .. math:: \theta(i) = x(\kappa(i)) \zeta(i)

    with :math:`\kappa(i)` of 1 to m and :math:`\zeta(i)` of -1 and +1 (equations 1 and 2), both
    drawn once, evenly and independently, and never changed. There is no parameter. Use it in the
    place of a wide `torch.nn.Linear` where a network predicts the weights of another: a learned
    layer 1000 -> 4097 has 4.1 million parameters to overfit with, this one none.

    Parameters
    ----------
    in_features : int
        m, from 1 up.
    out_features : int
        d, from 1 up.
    seed : int
        What both are drawn from, from 0 up; the same on every device.
    form : {"gather", "dense"}
        How it is computed: by picking inputs, or as the product with the matrix of equation 3,
        as the supplement does. For finite float32 both give equal numbers; gathering takes d
        multiplications, the product m d.

    Attributes
    ----------
    kappa : Tensor
        (d,) int64 buffer: which input each output copies, counted from 0.
    zeta : Tensor
        (d,) float buffer: its sign. Both are part of `state_dict`, so that a weights file holds
        the very hashing it was trained with.

    Raises
    ------
    InputError
        A width below 1, a seed below 0, or no such form.

    Examples
    --------
    In a network, as any other layer:

    >>> network = nn.Sequential(nn.Linear(8, 3), WeightHashing(3, 10, seed=0))
    >>> network(torch.zeros(2, 8)).shape
    torch.Size([2, 10])
    >>> sum(p.numel() for p in network.parameters())  # of the linear layer alone
    27

    Every output is one of the inputs, or its negative:

    >>> hashing = WeightHashing(3, 6)
    >>> hashing(torch.tensor([10.0, 20.0, 30.0])).abs().tolist()
    [30.0, 10.0, 30.0, 10.0, 20.0, 10.0]
    >>> hashing.dense_weight().shape
    torch.Size([6, 3])
    """

    kappa: Tensor
    zeta: Tensor

    def __init__(
        self, in_features: int, out_features: int, seed: int = 0, form: Form = "gather"
    ) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1 or seed < 0:
            raise InputError(
                f"weight hashing {in_features} -> {out_features}, seed {seed}: give widths from 1"
                " and a seed from 0 up"
            )
        if form not in get_args(Form):
            raise InputError(f"weight hashing: form {form!r} is one of {', '.join(get_args(Form))}")
        self.in_features, self.out_features, self.form = in_features, out_features, form
        generator = torch.Generator("cpu").manual_seed(seed)
        shape = (out_features,)
        kappa = torch.randint(in_features, shape, generator=generator, device="cpu")
        flips = torch.randint(2, shape, generator=generator, device="cpu")
        self.kappa = nn.Buffer(kappa)
        self.zeta = nn.Buffer(2.0 * flips - 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., m) to (..., d)."""
        if self.form == "dense":
            return linear(x, self.dense_weight().to(x.dtype))
        return x.index_select(-1, self.kappa) * self.zeta.to(x.dtype)

    def dense_weight(self) -> Tensor:
        """Return W (d, m) of equation 3: W(i, j) is zeta(i) where j is kappa(i), elsewhere 0."""
        weight = self.zeta.new_zeros(self.out_features, self.in_features)
        return weight.scatter_(1, self.kappa[:, None], self.zeta[:, None])

    def extra_repr(self) -> str:
        """Describe it, as `print` shows a network."""
        return f"in_features={self.in_features}, out_features={self.out_features}, form={self.form}"
