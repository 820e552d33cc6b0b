"""Multinomial logistic regression with L2, solved for many episodes at once.

Features are centred on the support and brought to unit length first. The weights W (D, ways)
minimise, with no intercept,

    1/2 |W|^2 - C sum_i b_i log softmax(W^T x_i)[y_i],        b_i = S / (ways S_(y_i))

where b weighs every class equally, however many examples a person happened to give of it. The
objective is strongly convex (modulus 1) and smooth, so Nesterov's accelerated gradient converges
at a known linear rate: Y. Nesterov, "Introductory lectures on convex optimization", 2004, scheme
2.2.9. At the minimum W = X^T A (the representer theorem), so where examples are fewer than
features the S x ways numbers A are found in place of W.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from handful.methods.heads.prototype import class_means


class Logistic:
    """Score by the logits of a regularised logistic regression.

    Parameters
    ----------
    c : float
        C above: how much the examples count against the penalty, as in scikit-learn. On photos
        of validation classes accuracy is flat from 3 to 100.
    tolerance : float
        The largest entry of the gradient, over C, at which the solver stops.
    steps : int
        The most steps it takes.

    Notes
    -----
    With two classes scikit-learn penalises one vector where this has two: its C is twice this one.

    Examples
    --------
    >>> examples = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> scores = Logistic().fit(examples, torch.tensor([0, 1]), 2)
    >>> scores(torch.tensor([[0.9, 0.1]])).softmax(-1).argmax().item()
    0
    """

    name = "logistic"

    def __init__(self, c: float = 10.0, tolerance: float = 1e-6, steps: int = 2000) -> None:
        self.c = c
        self.tolerance = tolerance
        self.steps = steps

    @torch.no_grad()
    def fit(self, features: Tensor, index: Tensor, ways: int) -> Callable[[Tensor], Tensor]:
        """Return a function from queries (..., Q, D) to logits (..., Q, ways)."""
        centre = class_means(features, index, ways).mean(-2, keepdim=True)
        examples = normalize(features - centre, dim=-1)
        weights = self._solve(examples.double(), one_hot(index, ways).double()).to(features)
        return lambda query: normalize(query - centre, dim=-1) @ weights

    def _solve(self, examples: Tensor, truth: Tensor) -> Tensor:
        """Return W (..., D, ways) from unit vectors (..., S, D) and one-hot classes (S, ways)."""
        weight = self.c * (truth / truth.sum(0)).sum(1, keepdim=True) * len(truth) / truth.shape[1]
        few = examples.shape[-2] <= examples.shape[-1]
        spread = examples * weight.sqrt()
        # any norm bounds the largest eigenvalue, which with softmax's 1/2 bounds the curvature
        product = spread @ spread.mT if few else spread.mT @ spread
        bound = 1 + torch.linalg.matrix_norm(product)[..., None, None] / 2
        momentum = (bound.sqrt() - 1) / (bound.sqrt() + 1)
        design = examples @ examples.mT if few else examples
        found = ahead = design.new_zeros(*design.shape[:-2], design.shape[-1], truth.shape[1])
        for _ in range(self.steps):
            residual = weight * (truth - (design @ ahead).softmax(-1))
            gradient = ahead - (residual if few else examples.mT @ residual)
            before, found = found, ahead - gradient / bound
            ahead = found + momentum * (found - before)
            if gradient.abs().amax() <= self.tolerance * self.c:
                break
        return examples.mT @ found if few else found
