"""Platt's scaling of margins to probabilities.

J. Platt, "Probabilistic outputs for support vector machines", 1999, in the numerically safe form
of H.-T. Lin, C.-J. Lin, R. Weng, "A note on Platt's probabilistic outputs", Machine Learning 68,
2007.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from handful.methods.hashing.base import Bits, Floats


def platt(margins: Floats, positive: Bits) -> tuple[float, float]:
    """Fit alpha and beta of 1 / (1 + exp(-alpha (margin - beta))) (equation 2 of UGH).

    Parameters
    ----------
    margins : ndarray
        (n,).
    positive : ndarray
        Which of them should come out above 1/2, (n,) bool. With p and q of either kind the
        targets are Platt's (p + 1) / (p + 2) and 1 / (q + 2).

    Returns
    -------
    alpha, beta : float
        Where all are of one kind, or the margins say nothing, beta is 0 and alpha is 1.

    Examples
    --------
    >>> alpha, beta = platt(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True]))
    >>> alpha > 0, round(beta, 3)
    (True, 2.5)
    """
    right, wrong = int(positive.sum()), int((~positive).sum())
    spread = float(margins.std())
    if not right or not wrong or spread == 0:
        return 1.0, 0.0
    target = np.where(positive, (right + 1) / (right + 2), 1 / (wrong + 2))
    scaled = (margins - margins.mean()) / spread

    def loss(found: Floats) -> tuple[float, Floats]:
        value = found[0] * scaled + found[1]
        residual = expit(value) - target
        # log(1 + e^v) - t v
        return (
            float((np.logaddexp(0, value) - target * value).sum()),
            np.array([residual @ scaled, residual.sum()]),
        )

    start = np.array([0.0, logit((right + 1) / (right + wrong + 2))])
    slope, offset = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-8}).x
    if slope == 0:
        return 1.0, 0.0
    return float(slope / spread), float(margins.mean() - offset * spread / slope)
