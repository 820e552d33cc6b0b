"""From a method's raw scores to one meaning of *score*: in [0, 1], larger is surer.

Every number here is fitted on validation classes alone, never on the classes a method is
evaluated on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from handful.metrics.verification import balanced_cut


@dataclass(frozen=True)
class Calibration:
    """How to read the raw scores of one method.

    Attributes
    ----------
    slope, offset : float
        Platt's sigmoid of a pair: ``score = sigmoid(slope * raw + offset)`` is the probability
        that two images show one class, when same and different pairs are equally frequent.
    temperature : float
        ``softmax(temperature * raw)`` over the classes of a support is ``predict_proba``.
    reject : float
        The score, in [0, 1], at or above which a query belongs to one of the support's classes.
    verify : float
        The score, in [0, 1], at or above which two images show one class.
    likeness : float or None
        The mean cosine of two images of one class, where raw scores are cosines: what
        `shots_factor` needs. None leaves raw scores as they are.

    References
    ----------
    J. Platt, "Probabilistic outputs for support vector machines", 1999.

    Examples
    --------
    >>> calibration = Calibration(2.0, -1.0, 5.0, reject=0.6, verify=0.5)
    >>> round(float(calibration.probability(torch.tensor(0.5))), 3)
    0.5
    """

    slope: float
    offset: float
    temperature: float
    reject: float
    verify: float
    likeness: float | None = None

    def probability(self, raw: Tensor) -> Tensor:
        """Map raw scores of any shape to [0, 1]."""
        return torch.sigmoid(self.slope * raw + self.offset)

    def to_dict(self) -> dict[str, float]:
        """Return the numbers, for a card or a run's JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def shots_factor(likeness: float | None, shots: int | Tensor) -> float | Tensor:
    r"""Return the factor that makes cosines to prototypes of any number of shots comparable.

    The mean of k unit vectors whose cosines with each other are r has the length
    :math:`\sqrt{r + (1 - r) / k}`; an image whose cosine with each of them is r has the cosine r
    divided by that length with their normalised mean. Multiplied by the length it is r again,
    whatever k is.

    Parameters
    ----------
    likeness : float or None
        r; None, or below 0: the factor is 1.
    shots : int or Tensor of integers
        k.

    Examples
    --------
    >>> shots_factor(0.4, 1), round(shots_factor(0.4, 5), 3)
    (1.0, 0.721)
    """
    if likeness is None or likeness < 0:
        return 1.0
    length: float | Tensor = (likeness + (1 - likeness) / shots) ** 0.5
    return length


def fit_calibration(
    same: Tensor,
    different: Tensor,
    known: Tensor,
    truth: Tensor,
    unknown: Tensor,
    *,
    likeness: float | None = None,
) -> Calibration:
    """Fit a calibration on trials of validation classes.

    Parameters
    ----------
    same, different : Tensor
        Raw scores (n,) and (m,) of pairs of one class and of two classes.
    known : Tensor
        Raw scores (t, ways) of queries whose class is in the support; -inf for a column that is
        not in the support of its row, here and in `unknown`.
    truth : Tensor
        The right column of each row of `known`, (t,) integers.
    unknown : Tensor
        Raw scores (u, ways) of queries of classes outside the support.
    likeness : float, optional
        Kept in the calibration; the scores given are made comparable by it already.

    Returns
    -------
    Calibration
        Slope and offset by logistic regression, same and different weighted equally;
        the temperature of least cross-entropy; `reject` where the share of rightly answered
        queries that are accepted and the share of unknown ones that are rejected have the largest
        sum; `verify` where the two rates of right answers have.
    """
    slope, offset = _platt(same, different)
    calibration = Calibration(slope, offset, 1.0, 0.5, 0.5)
    right = known.argmax(1) == truth
    right = right if right.any() else ~right  # nothing was learned: any threshold is as good
    best_known = calibration.probability(known.amax(1))
    return Calibration(
        slope,
        offset,
        _temperature(known, truth),
        reject=_cut(best_known[right], calibration.probability(unknown.amax(1))),
        verify=_cut(calibration.probability(same), calibration.probability(different)),
        likeness=likeness,
    )


def _platt(same: Tensor, different: Tensor) -> tuple[float, float]:
    from sklearn.linear_model import LogisticRegression

    raw = torch.cat([same, different]).double().numpy()
    target = np.r_[np.ones(len(same)), np.zeros(len(different))]
    spread = float(raw.std()) or 1.0
    model = LogisticRegression(C=1e4, class_weight="balanced").fit(raw[:, None] / spread, target)
    return float(model.coef_[0, 0]) / spread, float(model.intercept_[0])


def _temperature(known: Tensor, truth: Tensor) -> float:
    from scipy.optimize import minimize_scalar

    scores = known.double()

    def loss(log_temperature: float) -> float:
        logits = scores * float(np.exp(log_temperature))
        return float(torch.nn.functional.cross_entropy(logits, truth))

    spread = float(scores[scores.isfinite()].std()) or 1.0
    centre = -float(np.log(spread))
    found = minimize_scalar(loss, bounds=(centre - 5, centre + 8), method="bounded")
    return float(np.exp(found.x))


def _cut(accept: Tensor, refuse: Tensor) -> float:
    return balanced_cut(accept.double().numpy(), refuse.double().numpy())
